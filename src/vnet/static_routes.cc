// The routes that people give: Vnet's part of them (vnet/vnet.h).
#include "vnet/static_routes.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "vnet/show.h"
#include "vnet/stack.h"

namespace wh::vnet {

using net::Family;
using net::IpAddress;
using net::Prefix;

namespace {

std::string describe(const Prefix& prefix, std::span<const NextHop> hops, uint32_t vrf) {
  std::string text = fmt::format("route {}", to_string(prefix));
  if (vrf != 0) text += fmt::format(" in VRF {}", vrf);
  for (const NextHop& hop : hops) text += fmt::format(" via {}", to_string(hop.address));
  return text;
}

}  // namespace

// The old way goes after the new one is in place, so that no packet finds neither.
void Vnet::set_static(uint16_t vrf, const Prefix& prefix, AdjacencyIndex adjacency) {
  Fib& fib = stack_->fib(prefix.address.family, vrf);
  const AdjacencyIndex old = fib.find(prefix, RouteSource::Static);
  fib.set(prefix, RouteSource::Static, adjacency);
  stack_->paths.follow(vrf, prefix);
  stack_->paths.release(old);
}

Result<void> Vnet::add_route(const Prefix& prefix, std::span<const NextHop> next_hops,
                             uint32_t vrf) {
  const uint16_t slot = TRY(stack_->find_vrf(vrf));
  auto adjacency = stack_->paths.acquire(slot, prefix.address.family, next_hops);
  if (!adjacency) {
    return tl::unexpected(std::move(adjacency.error()).within(describe(prefix, next_hops, vrf)));
  }
  set_static(slot, prefix, *adjacency);
  return {};
}

Result<void> Vnet::add_route(const Prefix& prefix, const IpAddress& next_hop, uint16_t interface) {
  const NextHop hop{next_hop, interface};
  return add_route(prefix, std::span(&hop, 1));
}

Result<void> Vnet::add_blackhole(const Prefix& prefix, uint32_t vrf) {
  set_static(TRY(stack_->find_vrf(vrf)), prefix, kDropAlways);
  return {};
}

Result<void> Vnet::remove_route(const Prefix& prefix, uint32_t vrf) {
  const uint16_t slot = TRY(stack_->find_vrf(vrf));
  Fib& fib = stack_->fib(prefix.address.family, slot);
  const AdjacencyIndex old = fib.find(prefix, RouteSource::Static);
  if (old == kNoRoute) {
    return fail("no static {}", describe(prefix.network(), {}, vrf));
  }
  fib.remove(prefix, RouteSource::Static);
  stack_->paths.follow(slot, prefix);
  stack_->paths.release(old);
  return {};
}

void Vnet::remove_routes_through(uint16_t index) {
  for (const StaticRoute& r : static_routes()) {
    const Fib& fib = stack_->fib(r.prefix.address.family, MUST(stack_->find_vrf(r.vrf)));
    if (stack_->paths.uses(fib.find(r.prefix, RouteSource::Static), index)) {
      MUST(remove_route(r.prefix, r.vrf));  // It is one of them.
    }
  }
}

std::optional<Vnet::StaticRoute> Vnet::static_route(const Prefix& prefix, uint32_t vrf) const {
  const auto slot = stack_->find_vrf(vrf);
  if (!slot) return std::nullopt;
  const auto way = stack_->fib(prefix.address.family, *slot).find(prefix, RouteSource::Static);
  if (way == kNoRoute) return std::nullopt;
  return StaticRoute{vrf, prefix.network(), stack_->paths.hops_now(way)};
}

std::vector<Vnet::StaticRoute> Vnet::static_routes() const {
  std::vector<StaticRoute> routes;
  StaticRouteWalk walk(*this);
  while (walk.next(SIZE_MAX, routes)) continue;
  return routes;
}

// --- all of them ---

// How many routes lead to each other before a next hop is on a link. One that may be unreached
// waits for none of them.
class StaticRouteWalk::Depths {
 public:
  explicit Depths(const Stack& stack) : stack_(stack) {}

  // A next hop by which routes lead to each other in a circle, once depths of them were asked for:
  // at this place of it none leads further.
  bool is_waiting(uint16_t vrf, const NextHop& hop) const {
    return hop.interface == 0 && waiting_.contains({vrf, hop.address});
  }

  uint32_t of(uint16_t vrf, std::span<const NextHop> hops, uint32_t bound = Balance::kMaxDepth) {
    uint32_t depth = 0;
    for (const NextHop& hop : hops) {
      if (hop.interface != 0 || hop.may_be_unreached || bound == 0) continue;
      depth = std::max(depth, of(vrf, hop.address, bound));
    }
    return depth;
  }

 private:
  uint32_t of(uint16_t vrf, const IpAddress& next_hop, uint32_t bound) {
    const auto [known, is_new] = known_.insert({{vrf, next_hop}, std::nullopt});
    if (!is_new) {
      if (!known->second) waiting_.insert({vrf, next_hop});
      return known->second.value_or(0);
    }
    uint32_t depth = 0;
    const auto entry = stack_.fib(next_hop.family, vrf).covering_route(next_hop);
    if (entry && entry->source == RouteSource::Static) {
      depth = 1 + of(vrf, stack_.paths.hops(entry->adjacency), bound - 1);
    }
    if (waiting_.contains({vrf, next_hop})) depth = 0;
    known->second = depth;
    return depth;
  }
  const Stack& stack_;
  std::set<std::pair<uint16_t, IpAddress>> waiting_;
  // Nothing while it is being found out.
  std::map<std::pair<uint16_t, IpAddress>, std::optional<uint32_t>> known_;
};

StaticRouteWalk::StaticRouteWalk(const Vnet& vnet)
    : vnet_(vnet), depths_(std::make_unique<Depths>(vnet.stack())) {
  for (const uint32_t id : vnet.vrfs()) {
    for (const Family family : {Family::V4, Family::V6}) tables_.push_back({id, family});
  }
  std::reverse(tables_.begin(), tables_.end());
}

StaticRouteWalk::~StaticRouteWalk() = default;

bool StaticRouteWalk::next(size_t most, std::vector<Vnet::StaticRoute>& routes) {
  for (; most > 0; --most) {
    while (at_ == prefixes_.size()) {
      if (!read_on()) return next_deep(most, routes);
    }
    look_at(prefixes_[at_++], routes);
  }
  return true;
}

// More of the table at hand, or some of the next. False: those were all.
bool StaticRouteWalk::read_on() {
  constexpr size_t kPiece = 1024;
  const bool has_more = !prefixes_.empty();  // Perhaps.
  if (!has_more && tables_.empty()) return false;
  std::optional<Prefix> behind;
  if (has_more) {
    behind = prefixes_.back();
  } else {
    table_ = tables_.back();
    tables_.pop_back();
  }
  prefixes_ = fib_prefixes(vnet_, table_.family, table_.vrf, kPiece, behind);
  at_ = 0;
  return true;
}

void StaticRouteWalk::look_at(const Prefix& prefix, std::vector<Vnet::StaticRoute>& routes) {
  const Stack& stack = vnet_.stack();
  const auto slot = stack.find_vrf(table_.vrf);
  if (!slot) return;  // The table went.
  const auto way = stack.fib(table_.family, *slot).find(prefix, RouteSource::Static);
  if (way == kNoRoute) return;
  const uint32_t depth = depths_->of(*slot, stack.paths.hops(way));
  if (deep_.size() < depth) deep_.resize(depth);
  auto& place = depth == 0 ? routes : deep_[depth - 1];
  place.push_back({table_.vrf, prefix, stack.paths.hops_now(way)});
  for (NextHop& hop : place.back().next_hops) {
    if (depths_->is_waiting(*slot, hop)) hop.may_be_unreached = true;
  }
}

bool StaticRouteWalk::next_deep(size_t most, std::vector<Vnet::StaticRoute>& routes) {
  for (; depth_ < deep_.size(); ++depth_, deep_at_ = 0) {
    for (auto& level = deep_[depth_]; deep_at_ < level.size(); --most) {
      if (most == 0) return true;
      routes.push_back(std::move(level[deep_at_++]));
    }
  }
  return false;
}

}  // namespace wh::vnet
