// ip4-source-check and ip6-source-check: unicast reverse path forwarding (RFC 3704). A packet
// passes when a route leads to its source: by the interface it came by (strict), or by any (loose).
#include "net/wire/describe.h"
#include "vnet/feature_node.h"

namespace wh::vnet {
namespace {

using graph::Batch;
using graph::Severity;
using net::Family;
using net::Packet;

class SourceCheckNode final : public FeatureNode {
 public:
  SourceCheckNode(Stack& stack, Family family)
      : FeatureNode(stack, family == Family::V4 ? FeatureArc::Ip4Input : FeatureArc::Ip6Input,
                    family == Family::V4 ? "ip4-source-check" : "ip6-source-check",
                    {{"failed", Severity::Error, "source address without a way back"}}),
        family_(family) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      if (passes(batch[i])) {
        batch.send(i, next(batch[i]));
      } else {
        batch.drop(i, kFailed);
      }
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : uint16_t { kFailed };

  bool passes(const Packet& p) const {
    const SourceCheck check = stack_.source_checks[p.interface][static_cast<size_t>(family_)];
    const uint8_t* source = p.data() + (family_ == Family::V4 ? 12 : 8);
    const AdjacencyIndex way = stack_.fib(family_, stack_.vrf_of(p)).lookup(source);
    const Adjacency& a = stack_.adjacencies[way];
    switch (a.kind) {
      case AdjacencyKind::NoRoute:
      case AdjacencyKind::Local:
      case AdjacencyKind::Drop:
        // A host without an address yet asks for one (DHCP, duplicate address detection).
        return is_unspecified(source);
      case AdjacencyKind::LinkScope: return true;
      case AdjacencyKind::Balance:
        return check == SourceCheck::Loose || any_way_by(way, p.interface);
      case AdjacencyKind::Glean:
      case AdjacencyKind::Incomplete:
      case AdjacencyKind::Rewrite: return check == SourceCheck::Loose || a.interface == p.interface;
    }
    UNREACHABLE();
  }
  bool is_unspecified(const uint8_t* source) const {
    const uint8_t* end = source + (family_ == Family::V4 ? 4 : 16);
    return std::all_of(source, end, [](uint8_t b) { return b == 0; });
  }
  bool any_way_by(AdjacencyIndex balance, uint16_t interface) const {
    for (uint32_t hash = 0; hash < Balance::kBuckets; ++hash) {
      const Adjacency& a = stack_.adjacencies[stack_.adjacencies.pick(balance, hash)];
      if (a.kind != AdjacencyKind::NoRoute && a.interface == interface) return true;
    }
    return false;
  }
  Family family_;
};

}  // namespace

void add_source_check_nodes(Stack& stack) {
  stack.graph.add(std::make_unique<SourceCheckNode>(stack, Family::V4));
  stack.graph.add(std::make_unique<SourceCheckNode>(stack, Family::V6));
}

void set_source_check(Stack& stack, uint16_t interface, Family family, SourceCheck check) {
  if (stack.source_checks.size() <= interface) stack.source_checks.resize(interface + 1u);
  stack.source_checks[interface][static_cast<size_t>(family)] = check;
  const bool v4 = family == Family::V4;
  set_feature(stack, interface, v4 ? FeatureArc::Ip4Input : FeatureArc::Ip6Input,
              v4 ? "ip4-source-check" : "ip6-source-check", check != SourceCheck::Off);
}

}  // namespace wh::vnet
