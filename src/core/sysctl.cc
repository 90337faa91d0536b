#include "core/sysctl.h"

#include <algorithm>
#include <charconv>

#include "core/check.h"

namespace wh {
inline namespace core {
namespace {

bool is_below(std::string_view name, std::string_view prefix) {
  return prefix.empty() ||
         (name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '.'));
}

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

void SysctlTree::add(std::string name, Any leaf) {
  CHECK(!name.empty());
  const bool is_new = leaves_.emplace(std::move(name), std::move(leaf)).second;
  CHECK(is_new);
}

void SysctlTree::add_int(std::string name, int64_t* storage, IntSpec spec) {
  CHECK(*storage >= spec.min && *storage <= spec.max);
  for (const std::string& other : spec.also) add(other, IntLeaf{storage, *storage, spec});
  add(std::move(name), IntLeaf{storage, *storage, std::move(spec)});
}

void SysctlTree::add_counter(std::string name, const uint64_t* storage, std::string description,
                             std::string unit) {
  add(std::move(name), CounterLeaf{storage, std::move(description), std::move(unit)});
}

void SysctlTree::add_text(std::string name, TextSpec spec) {
  add(std::move(name), Any(std::move(spec)));
}

void SysctlTree::remove(std::string_view prefix) {
  std::erase_if(leaves_, [&](const auto& entry) { return is_below(entry.first, prefix); });
}

tl::unexpected<Error> SysctlTree::unknown(std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& [leaf, unused] : leaves_) {
    if (is_below(leaf, name)) return fail("sysctl '{}' is a node, not a leaf", name);
    names.push_back(leaf);
  }
  const std::string near = nearest(name, names);
  if (near.empty()) return fail("unknown sysctl '{}'", name);
  return fail("unknown sysctl '{}'; did you mean '{}'?", name, near);
}

Result<std::string> SysctlTree::get(std::string_view name) const {
  const auto it = leaves_.find(name);
  if (it == leaves_.end()) return unknown(name);
  return std::visit(Overloaded{[](const IntLeaf& l) { return std::to_string(*l.storage); },
                               [](const CounterLeaf& l) { return std::to_string(*l.storage); },
                               [](const TextSpec& l) { return l.get(); }},
                    it->second);
}

Result<void> SysctlTree::set_int(std::string_view name, const IntLeaf& leaf,
                                 std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const auto& spec = leaf.spec;
  const std::string unit = spec.unit.empty() ? "" : " " + spec.unit;
  if (error != std::errc() || stop != end) {
    return fail("sysctl '{}': '{}' is not a whole number; accepted: {}..{}{}", name, text, spec.min,
                spec.max, unit);
  }
  if (value < spec.min || value > spec.max) {
    return fail("sysctl '{}': {} is out of range; accepted: {}..{}{}", name, value, spec.min,
                spec.max, unit);
  }
  const int64_t old = *leaf.storage;
  *leaf.storage = value;
  if (spec.check) {
    if (auto checked = spec.check(value); !checked) {
      *leaf.storage = old;
      return tl::unexpected(std::move(checked.error()).within(fmt::format("sysctl '{}'", name)));
    }
  }
  return {};
}

Result<void> SysctlTree::set(std::string_view name, std::string_view value) {
  const auto it = leaves_.find(name);
  if (it == leaves_.end()) return unknown(name);
  if (auto* leaf = std::get_if<IntLeaf>(&it->second)) return set_int(name, *leaf, value);
  if (auto* leaf = std::get_if<TextSpec>(&it->second); leaf != nullptr && leaf->set) {
    return leaf->set(value);
  }
  return fail("sysctl '{}' is read-only", name);
}

Result<void> SysctlTree::assign(std::string_view text) {
  const size_t at = text.find('=');
  if (at == std::string_view::npos) return fail("'{}' is not NAME=VALUE", text);
  const auto trimmed = [](std::string_view part) {
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    return part;
  };
  return set(trimmed(text.substr(0, at)), trimmed(text.substr(at + 1)));
}

void SysctlTree::sort_for_setting(std::vector<Change>& changes) const {
  const auto checked = [&](const Change& c) {
    const auto* leaf = std::get_if<IntLeaf>(&leaves_.at(c.name));
    return leaf != nullptr && leaf->spec.check ? leaf : nullptr;
  };
  // It is tried with the leaves themselves, which all are as they were at the end.
  for (const Change& c : changes) {
    if (const IntLeaf* leaf = checked(c)) *leaf->storage = std::stoll(c.from);
  }
  for (auto next = changes.begin(); next != changes.end();) {
    const auto behind = std::stable_partition(next, changes.end(), [&](const Change& c) {
      const IntLeaf* leaf = checked(c);
      return leaf == nullptr || set_int(c.name, *leaf, c.to);
    });
    if (behind == next) break;
    next = behind;
  }
  for (const Change& c : changes) {
    if (const IntLeaf* leaf = checked(c)) *leaf->storage = std::stoll(c.to);
  }
}

Result<std::vector<SysctlTree::Leaf>> SysctlTree::list(std::string_view prefix) const {
  std::vector<Leaf> found;
  for (const auto& [name, any] : leaves_) {
    if (!is_below(name, prefix)) continue;
    Leaf leaf;
    leaf.name = name;
    std::visit(Overloaded{[&](const IntLeaf& l) {
                            leaf.description = l.spec.description;
                            leaf.unit = l.spec.unit;
                            leaf.value = std::to_string(*l.storage);
                            leaf.default_value = std::to_string(l.default_value);
                            leaf.writable = leaf.is_int = true;
                            leaf.min = l.spec.min;
                            leaf.max = l.spec.max;
                          },
                          [&](const CounterLeaf& l) {
                            leaf.is_counter = true;
                            leaf.description = l.description;
                            leaf.unit = l.unit;
                            leaf.value = std::to_string(*l.storage);
                          },
                          [&](const TextSpec& l) {
                            leaf.description = l.description;
                            leaf.value = l.get();
                            leaf.writable = static_cast<bool>(l.set);
                          }},
               any);
    found.push_back(std::move(leaf));
  }
  if (found.empty()) return unknown(prefix);
  return found;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  size_t best = word.size() / 3 + 2;
  std::string found;
  for (const std::string& candidate : candidates) {
    const size_t d = edit_distance(word, candidate);
    if (d < best) best = d, found = candidate;
  }
  return found;
}

}  // namespace core
}  // namespace wh
