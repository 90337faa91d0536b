#include "kyua/cli/options.h"

namespace wh::kyua::cli {
namespace {

const OptionSpec* find_long(const std::vector<OptionSpec>& specs, const std::string& name) {
  const OptionSpec* found = nullptr;
  for (const OptionSpec& spec : specs) {
    if (spec.name == name) return &spec;
    if (!spec.name.starts_with(name)) continue;
    if (found != nullptr) return nullptr;  // Could be either.
    found = &spec;
  }
  return found;
}

const OptionSpec* find_short(const std::vector<OptionSpec>& specs, char letter) {
  for (const OptionSpec& spec : specs) {
    if (spec.letter == letter) return &spec;
  }
  return nullptr;
}

}  // namespace

std::string to_string(const OptionSpec& o) {
  const bool has_argument = !o.argument.empty();
  const std::string long_form =
      has_argument ? fmt::format("--{}={}", o.name, o.argument) : "--" + o.name;
  if (o.letter == 0) return long_form;
  return has_argument ? fmt::format("-{} {}, {}", o.letter, o.argument, long_form)
                      : fmt::format("-{}, {}", o.letter, long_form);
}

Result<ParsedOptions> ParsedOptions::parse(const std::vector<OptionSpec>& specs,
                                           const std::vector<std::string>& words) {
  ParsedOptions parsed;
  for (const OptionSpec& spec : specs) {
    if (spec.has_fallback) parsed.fallbacks_[spec.name] = spec.fallback;
  }
  size_t i = 0;
  for (; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      ++i;
      break;
    }
    if (word.size() < 2 || word[0] != '-') break;
    const bool is_long = word[1] == '-';
    const size_t equals = is_long ? word.find('=') : word.npos;
    const std::string name =
        is_long ? word.substr(2, equals == word.npos ? equals : equals - 2) : word.substr(1, 1);
    const std::string shown = (is_long ? "--" : "-") + name;
    const OptionSpec* spec = is_long ? find_long(specs, name) : find_short(specs, name[0]);
    if (spec == nullptr) return fail("Unknown option {}", shown);
    std::optional<std::string> value;
    if (is_long && equals != word.npos) value = word.substr(equals + 1);
    if (!is_long && word.size() > 2 && !spec->argument.empty()) value = word.substr(2);
    if (spec->argument.empty()) {
      if (value || (!is_long && word.size() > 2)) return fail("Unknown option {}", word);
      value = "";
    } else if (!value) {
      if (i + 1 == words.size()) return fail("Missing required argument for option {}", shown);
      value = words[++i];
    }
    parsed.values_[spec->name].push_back(*value);
  }
  parsed.rest_.assign(words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
  return parsed;
}

std::string ParsedOptions::get(const std::string& name) const {
  if (const auto at = values_.find(name); at != values_.end()) return at->second.back();
  const auto at = fallbacks_.find(name);
  CHECK(at != fallbacks_.end());
  return at->second;
}

std::vector<std::string> ParsedOptions::all(const std::string& name) const {
  const auto at = values_.find(name);
  return at == values_.end() ? std::vector<std::string>() : at->second;
}

}  // namespace wh::kyua::cli
