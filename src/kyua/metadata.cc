#include "kyua/metadata.h"

#include <algorithm>
#include <array>
#include <set>

#include "kyua/text.h"

namespace wh::kyua {
namespace {

using enum PropertyType;

constexpr std::array kProperties = {
    Property{"allowed_architectures", "require.arch", Words, ""},
    Property{"allowed_platforms", "require.machine", Words, ""},
    Property{"description", "descr", Text, ""},
    Property{"execenv", "execenv", Text, ""},
    Property{"execenv_jail_params", "execenv.jail.params", Text, ""},
    Property{"has_cleanup", "has.cleanup", Flag, "false"},
    Property{"is_exclusive", "is.exclusive", Flag, "false"},
    Property{"required_configs", "require.config", Words, ""},
    Property{"required_disk_space", "require.diskspace", Size, "0"},
    Property{"required_files", "require.files", Paths, ""},
    Property{"required_kmods", "require.kmods", Words, ""},
    Property{"required_memory", "require.memory", Size, "0"},
    Property{"required_programs", "require.progs", Programs, ""},
    Property{"required_user", "require.user", User, ""},
    Property{"timeout", "timeout", Seconds, "300"},
};
constexpr std::string_view kCustom = "custom.";
constexpr std::string_view kAtfCustom = "X-";

const Property* find_property(std::string_view name) {
  const auto at = std::find_if(kProperties.begin(), kProperties.end(),
                               [&](const Property& p) { return p.name == name; });
  return at == kProperties.end() ? nullptr : &*at;
}

Result<std::string> canonical_words(PropertyType type, std::string_view value) {
  std::set<std::string> sorted;
  for (std::string& word : split_words(value)) {
    const bool has_slash = word.find('/') != word.npos;
    if ((type == Paths || type == Programs) && has_slash && !word.starts_with('/')) {
      return fail("Relative path '{}' not allowed", word);
    }
    sorted.insert(std::move(word));
  }
  return fmt::format("{}", fmt::join(sorted, " "));
}

Result<std::string> canonical(PropertyType type, std::string_view value) {
  switch (type) {
    case Text: return std::string(value);
    case Flag:
      if (value == "true" || value == "yes") return "true";
      if (value == "false" || value == "no") return "false";
      return fail("Failed to convert string value '{}' to the node's type", value);
    case Words:
    case Paths:
    case Programs: return canonical_words(type, value);
    case Size: {
      std::string size = format_size(TRY(parse_size(value)));
      if (!parse_size(size)) return fail("Invalid bytes quantity '{}'", value);  // Rounded up.
      return size;
    }
    case Seconds: {
      const auto seconds = parse_int(value);
      constexpr int64_t kMost = 1'000'000'000;
      if (!seconds || *seconds < 0 || *seconds > kMost) {
        return fail("Invalid time delta {}", value);
      }
      return fmt::format("{}", *seconds);
    }
    case User:
      if (value.empty() || value == "root" || value == "unprivileged") return std::string(value);
      return fail("Invalid required user value");
  }
  UNREACHABLE();
}

}  // namespace

std::span<const Property> Metadata::properties() {
  return kProperties;
}

Result<void> Metadata::set(std::string_view name, std::string_view value) {
  if (name.starts_with(kCustom) && name.size() > kCustom.size()) {
    values_.insert_or_assign(std::string(name), std::string(value));
    return {};
  }
  const Property* property = find_property(name);
  if (property == nullptr) return fail("Unknown metadata property {}", name);
  auto text = canonical(property->type, value);
  if (!text) return fail("Invalid value for property '{}': {}", name, text.error().text);
  values_.insert_or_assign(std::string(name), *std::move(text));
  return {};
}

Result<void> Metadata::set_atf(std::string_view atf_name, std::string_view value) {
  if (atf_name.starts_with(kAtfCustom) && atf_name.size() > kAtfCustom.size()) {
    return set(fmt::format("{}{}", kCustom, atf_name.substr(kAtfCustom.size())), value);
  }
  for (const Property& property : kProperties) {
    if (property.atf_name == atf_name) return set(property.name, value);
  }
  return fail("Unknown test case metadata property '{}'", atf_name);
}

std::string Metadata::get(std::string_view name) const {
  const auto at = values_.find(name);
  if (at != values_.end()) return at->second;
  const Property* property = find_property(name);
  CHECK(property != nullptr);
  return std::string(property->fallback);
}

std::vector<std::string> Metadata::words(std::string_view name) const {
  return split_words(get(name));
}

Bytes Metadata::size(std::string_view name) const {
  return MUST(parse_size(get(name)));  // set() let only sizes in.
}

std::optional<Duration> Metadata::timeout() const {
  const int64_t seconds = MUST(parse_int(get("timeout")));  // set() let only numbers in.
  if (seconds == 0) return std::nullopt;
  return std::chrono::seconds(seconds);
}

std::map<std::string, std::string> Metadata::with_defaults() const {
  std::map<std::string, std::string> all(values_.begin(), values_.end());
  for (const Property& p : kProperties) all.emplace(p.name, p.fallback);
  return all;
}

Metadata Metadata::under(const Metadata& upper) const {
  Metadata merged = *this;
  for (const auto& [name, value] : upper.values_) merged.values_.insert_or_assign(name, value);
  return merged;
}

}  // namespace wh::kyua
