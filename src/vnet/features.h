// Features: nodes that packets of an interface take on their way, when they are enabled on it.
//
//   ip4-input --> [ip4-sv-reassembly] [ip4-acl-input] [ip4-source-check] [ip4-policer-input]
//                 [nat44-out2in] [nat44-hairpinning] --> ip4-lookup
//   ip4-rewrite --> [..] [nat44-in2out-output] [ip4-acl-output] [..] --> interface-output
//
// Of an interface that NAT44 has outside, lists see both ways what is on its wire, as VPP's do: so
// that what one reflects as it goes out is known when the answer comes in.
//
// Four arcs, each with its nodes in a fixed order: what follows one of them is the next that the
// packet's interface has enabled, or the arc's end. An interface's enabled features are one byte
// per arc, so a packet of an interface without any pays nothing. A feature's node derives from
// FeatureNode and sends what it lets pass to next().
#pragma once

#include <array>
#include <bit>
#include <string>
#include <string_view>
#include <vector>

#include "graph/node.h"

namespace wh::vnet {

enum class FeatureArc : uint8_t { Ip4Input, Ip6Input, Ip4Output, Ip6Output };
constexpr size_t kFeatureArcs = 4;

struct FeatureOrder {
  static constexpr size_t kMost = 8;
  std::array<std::string_view, kMost> nodes{};
  uint32_t size = 0;     // So many nodes,
  std::string_view end;  // and what comes behind them.
};
template <class... Nodes>
constexpr FeatureOrder feature_arc(std::string_view end, Nodes... nodes) {
  static_assert(sizeof...(nodes) < FeatureOrder::kMost);
  return {{nodes...}, sizeof...(nodes), end};
}
constexpr std::array<FeatureOrder, kFeatureArcs> kFeatureOrders{
    feature_arc("ip4-lookup", "ip4-sv-reassembly", "ip4-acl-input", "ip4-source-check",
                "ip4-policer-input", "nat44-out2in", "nat44-hairpinning"),
    feature_arc("ip6-lookup", "ip6-sv-reassembly", "ip6-acl-input", "ip6-source-check",
                "ip6-policer-input"),
    feature_arc("interface-output", "ip4-output-sv-reassembly", "nat44-in2out-output",
                "ip4-acl-output", "ip4-policer-output"),
    feature_arc("interface-output", "ip6-output-sv-reassembly", "ip6-acl-output",
                "ip6-policer-output")};
constexpr const FeatureOrder& feature_order(FeatureArc arc) {
  return kFeatureOrders[static_cast<size_t>(arc)];
}

// What an interface has enabled on each arc: a bit per node, in their order.
using FeatureMasks = std::array<uint8_t, kFeatureArcs>;

// The names that follow `position` on an arc, as a node declares them: the later nodes, and last
// the end. -1 is the node before the first.
inline std::vector<std::string> features_after(FeatureArc arc, int position) {
  const FeatureOrder& order = feature_order(arc);
  std::vector<std::string> names(order.nodes.begin() + position + 1,
                                 order.nodes.begin() + order.size);
  names.emplace_back(order.end);
  return names;
}
// Which of those a packet takes, counted from 0: the first enabled one, else the last.
constexpr uint32_t feature_after(FeatureArc arc, int position, uint8_t enabled) {
  // The end is as one more feature, which is always enabled.
  const uint32_t all = enabled | 1u << feature_order(arc).size;
  return static_cast<uint32_t>(std::countr_zero(all >> (position + 1)));
}
inline int feature_position(FeatureArc arc, std::string_view name) {
  const FeatureOrder& order = feature_order(arc);
  for (uint32_t i = 0; i < order.size; ++i) {
    if (order.nodes[i] == name) return static_cast<int>(i);
  }
  UNREACHABLE();
}

}  // namespace wh::vnet
