#include "vnet/acl_search.h"

#include <algorithm>

namespace wh::vnet {

using net::IpAddress;
using net::Prefix;

AclSearch::Place AclSearch::place(const Shape& shape, const IpAddress& source,
                                  const IpAddress& destination, uint8_t protocol) {
  return {Prefix{source, shape.source_length}.network().address,
          Prefix{destination, shape.destination_length}.network().address,
          shape.any_protocol ? uint8_t{0} : protocol};
}

AclSearch::AclSearch(std::span<const AclRule> rules) {
  if (rules.size() <= kFew) return;
  for (uint32_t i = 0; i < rules.size(); ++i) {
    const AclRule& r = rules[i];
    const Shape shape{r.source.address.family, r.source.length, r.destination.length,
                      r.protocol == 0};
    auto tuple = std::find_if(tuples_.begin(), tuples_.end(),
                              [&](const Tuple& t) { return t.shape == shape; });
    if (tuple == tuples_.end()) tuple = tuples_.insert(tuple, {shape, i, {}});
    tuple->rules[place(shape, r.source.address, r.destination.address, r.protocol)].push_back(i);
  }
}

size_t AclSearch::first_match(std::span<const AclRule> rules, const AclKey& key) const {
  size_t found = rules.size();
  if (tuples_.empty()) {
    const auto at = std::find_if(rules.begin(), rules.end(),
                                 [&](const AclRule& rule) { return matches(rule, key); });
    return static_cast<size_t>(at - rules.begin());
  }
  for (const Tuple& tuple : tuples_) {
    if (tuple.first >= found) break;
    if (tuple.shape.family != key.source.family) continue;
    const auto at = tuple.rules.find(place(tuple.shape, key.source, key.destination, key.protocol));
    if (at == tuple.rules.end()) continue;
    for (const uint32_t i : at->second) {
      if (i >= found) break;
      if (matches(rules[i], key)) found = i;
    }
  }
  return found;
}

}  // namespace wh::vnet
