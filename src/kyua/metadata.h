// The properties of a test program or a test case: what it needs, how long it may take, where it
// runs.
//
// There is one table of properties, with Kyua's name (kyuafile(5): `required_user`), ATF's name
// (atf-test-case(4): `require.user`), a type and a default. A Metadata holds only what somebody
// set; get() answers the default for the rest. So a case's values can be laid over its program's,
// and a default stored for the case never hides what the Kyuafile said of the program. Values are
// kept as canonical text: booleans "true" and "false", sets of words sorted and joined by blanks,
// sizes as "1.00M". `custom.NAME` (ATF's `X-NAME`) is free text.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/units.h"

namespace wh::kyua {

enum class PropertyType : uint8_t { Text, Flag, Words, Paths, Programs, Size, Seconds, User };

struct Property {
  std::string_view name;      // Kyua's.
  std::string_view atf_name;  // ATF's.
  PropertyType type;
  std::string_view fallback;  // The default, as canonical text.
};

class Metadata {
 public:
  static std::span<const Property> properties();  // Sorted by Kyua's name.

  // Errors: no such property; a value that is not of its type. Worded as Kyua words them.
  Result<void> set(std::string_view name, std::string_view value);
  Result<void> set_atf(std::string_view atf_name, std::string_view value);

  // REQUIRES: a name of properties(), or one that is set.
  std::string get(std::string_view name) const;
  bool flag(std::string_view name) const { return get(name) == "true"; }
  std::vector<std::string> words(std::string_view name) const;
  Bytes size(std::string_view name) const;
  // The limit on a body; nothing when there is none (0, as ATF has it).
  std::optional<Duration> timeout() const;

  const std::map<std::string, std::string, std::less<>>& set_values() const { return values_; }
  std::map<std::string, std::string> with_defaults() const;
  // These values with those of `upper` laid over them.
  Metadata under(const Metadata& upper) const;
  bool operator==(const Metadata&) const = default;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace wh::kyua
