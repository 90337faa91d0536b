// Command lines as Kyua reads them: options first, then arguments; a long option's value after "="
// or as the next word, a short one's glued to it or as the next word.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace wh::kyua::cli {

struct OptionSpec {
  char letter = 0;  // 0: no short form.
  std::string name;
  std::string argument = {};  // What it is called in the help; empty: none is taken.
  std::string help = {};
  std::string fallback = {};  // The default, shown in the help.
  bool has_fallback = false;
};

// "-k file, --kyuafile=file", as help shows it.
std::string to_string(const OptionSpec& option);

class ParsedOptions {
 public:
  // The rest, from the first word that is no option, is in rest(). Errors: usage errors, worded as
  // Kyua's.
  static Result<ParsedOptions> parse(const std::vector<OptionSpec>& specs,
                                     const std::vector<std::string>& words);

  bool has(const std::string& name) const { return values_.contains(name); }
  // The last value given, or the default. REQUIRES: one of the two.
  std::string get(const std::string& name) const;
  std::vector<std::string> all(const std::string& name) const;
  const std::vector<std::string>& rest() const { return rest_; }

 private:
  std::map<std::string, std::vector<std::string>> values_;
  std::map<std::string, std::string> fallbacks_;
  std::vector<std::string> rest_;
};

}  // namespace wh::kyua::cli
