// Features: nodes that packets of an interface take on their way, when they are enabled on it.
//
//   ip4-input --> [ip4-sv-reassembly] [ip4-acl-input] [ip4-source-check] [ip4-policer-input]
//                 [nat44-out2in] --> ip4-lookup
//   ip4-rewrite --> [..] [ip4-acl-output] [nat44-in2out-output] [..] --> interface-output
//
// Four arcs, each with its nodes in a fixed order: what follows one of them is the next that the
// packet's interface has enabled, or the arc's end. An interface's enabled features are one byte
// per arc, so a packet of an interface without any pays nothing. A feature's node derives from
// FeatureNode and sends what it lets pass to next().
#pragma once

#include <array>
#include <bit>
#include <string>
#include <vector>

#include "graph/node.h"

namespace wh::vnet {

enum class FeatureArc : uint8_t { Ip4Input, Ip6Input, Ip4Output, Ip6Output };
constexpr size_t kFeatureArcs = 4;

struct FeatureOrder {
  std::vector<std::string> nodes;  // At most 8.
  std::string end;
};
inline const FeatureOrder& feature_order(FeatureArc arc) {
  static const std::array<FeatureOrder, kFeatureArcs> orders{{
      {{"ip4-sv-reassembly", "ip4-acl-input", "ip4-source-check", "ip4-policer-input",
        "nat44-out2in"},
       "ip4-lookup"},
      {{"ip6-acl-input", "ip6-source-check", "ip6-policer-input"}, "ip6-lookup"},
      {{"ip4-output-sv-reassembly", "ip4-acl-output", "nat44-in2out-output", "ip4-policer-output"},
       "interface-output"},
      {{"ip6-acl-output", "ip6-policer-output"}, "interface-output"},
  }};
  return orders[static_cast<size_t>(arc)];
}

// What an interface has enabled on each arc: a bit per node, in their order.
using FeatureMasks = std::array<uint8_t, kFeatureArcs>;

// The names that follow `position` on an arc, as a node declares them: the later nodes, and last
// the end. -1 is the node before the first.
inline std::vector<std::string> features_after(FeatureArc arc, int position) {
  const FeatureOrder& order = feature_order(arc);
  std::vector<std::string> names(order.nodes.begin() + position + 1, order.nodes.end());
  names.push_back(order.end);
  return names;
}
// Which of those a packet takes, counted from 0: the first enabled one, else the last.
inline uint32_t feature_after(FeatureArc arc, int position, uint8_t enabled) {
  const uint32_t later = static_cast<uint32_t>(enabled) >> (position + 1);
  if (later != 0) return static_cast<uint32_t>(std::countr_zero(later));
  return static_cast<uint32_t>(feature_order(arc).nodes.size()) -
         static_cast<uint32_t>(position + 1);
}
inline int feature_position(FeatureArc arc, std::string_view name) {
  const auto& nodes = feature_order(arc).nodes;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i] == name) return static_cast<int>(i);
  }
  UNREACHABLE();
}

}  // namespace wh::vnet
