#include "vnet/paths.h"

#include <algorithm>
#include <numeric>

#include "vnet/bridge.h"
#include "vnet/stack.h"

namespace wh::vnet {

using net::Family;
using net::IpAddress;

namespace {

// How many buckets each next hop gets of all: by weight, every one at least one, the rounding in
// favour of the first.
std::vector<uint32_t> shares(const std::vector<uint32_t>& weights) {
  const uint32_t total = std::accumulate(weights.begin(), weights.end(), 0u);
  std::vector<uint32_t> counts(weights.size());
  uint32_t left = Balance::kBuckets;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    counts[i] = std::max(1u, Balance::kBuckets * weights[i] / total);
    left -= std::min(left, counts[i]);
  }
  for (size_t i = 0; left > 0; i = (i + 1) % counts.size()) {
    if (weights[i] == 0) continue;
    ++counts[i];
    --left;
  }
  return counts;
}

tl::unexpected<Error> unreached() {
  return fail("the next hop is on no connected prefix; `unreached` behind it lets it wait for one");
}

}  // namespace

// Whether the address is a neighbour's, on a connected prefix of the VRF, and of which interface.
bool PathTable::is_connected(uint16_t vrf, const IpAddress& address, uint16_t& interface) const {
  const AdjacencyIndex way = stack_.fib(address.family, vrf).lookup(address);
  const Adjacency& a = stack_.adjacencies[way];
  const bool is_neighbour =
      (a.kind == AdjacencyKind::Incomplete || a.kind == AdjacencyKind::Rewrite);
  if (a.kind != AdjacencyKind::Glean &&
      !(is_neighbour && stack_.adjacencies.next_hop(way) == address)) {
    return false;
  }
  interface = a.interface;
  return true;
}

Result<PathTable::Member> PathTable::resolve_new(const Key& key, const NextHop& hop) {
  Member member{.hop = hop};
  const bool is_attached = hop.address.is_unspecified();
  uint16_t interface = hop.interface;
  if (hop.weight == 0) return fail("weight 0; accepted: 1..255");
  if (is_attached && interface == 0) return fail("neither a next hop nor an interface");
  if (!is_attached) {
    if (hop.address.family != key.family) return fail("two families");
    const bool is_link_local = hop.address.is_link_local();
    if (is_link_local && interface == 0) return fail("a link-local next hop needs its interface");
    const bool is_own = is_link_local
                            ? (*TRY(stack_.interfaces.attached(interface))).owns(hop.address)
                            : stack_.is_local(hop.address, key.vrf);
    if (is_own) return fail("that is this host");
    if (interface == 0 && !is_connected(key.vrf, hop.address, interface)) {
      member.is_recursive = true;
      const PathList probe{.key = key};
      member.adjacency = resolve(probe, member);
      if (member.adjacency == kNoRoute && !hop.may_be_unreached) return unreached();
      return member;
    }
  }
  InterfaceEntry& entry = *TRY(stack_.interfaces.attached(interface));
  TRY(stack_.bridges->check_routed(interface, "a route"));
  if (is_attached) {
    member.adjacency =
        stack_.adjacencies.make(AdjacencyKind::Glean, interface, entry.mtu(), hop.address);
  } else {
    NeighbourTable& table = stack_.neighbours(key.family);
    Neighbour* n = table.get(interface, entry.mtu(), hop.address);
    if (n == nullptr) return fail("the neighbour table is full");
    table.retain(*n);
    member.adjacency = n->adjacency();
  }
  return member;
}

void PathTable::give_up(const Key& key, const Member& member) {
  if (member.is_recursive) return;
  if (member.hop.address.is_unspecified()) {
    stack_.adjacencies.free(member.adjacency);
    return;
  }
  NeighbourTable& table = stack_.neighbours(key.family);
  const uint16_t interface = stack_.adjacencies[member.adjacency].interface;
  if (Neighbour* n = table.find(interface, member.hop.address)) table.release(*n);
}

Result<AdjacencyIndex> PathTable::acquire(uint16_t vrf, Family family,
                                          std::span<const NextHop> hops) {
  if (hops.empty() || hops.size() > kMaxHops) {
    return fail("{} next hops; accepted: 1..{}", hops.size(), kMaxHops);
  }
  const Key key{vrf, family, {hops.begin(), hops.end()}};
  if (const auto known = lists_.find(key); known != lists_.end()) {
    for (const Member& m : known->second.members) {
      if (!m.is_recursive || m.hop.may_be_unreached) continue;
      if (resolve(known->second, m) == kNoRoute) return unreached();
    }
    ++known->second.routes;
    return known->second.adjacency;
  }
  PathList list{.key = key, .routes = 1};
  for (const NextHop& hop : hops) {
    auto member = resolve_new(key, hop);
    if (!member) {
      for (const Member& m : list.members) give_up(key, m);
      return tl::unexpected(std::move(member.error()));
    }
    list.members.push_back(*member);
  }
  // Lists that differ only in a weight or a word lead to one neighbour, and are told apart by their
  // adjacencies: the second has its own.
  const AdjacencyIndex first = list.members[0].adjacency;
  const bool is_taken = first < by_adjacency_.size() && by_adjacency_[first] != nullptr;
  list.has_balance = list.members.size() > 1 || list.members[0].is_recursive || is_taken;
  list.adjacency = list.has_balance ? stack_.adjacencies.make_balance(hops[0].address)
                                    : list.members[0].adjacency;
  PathList& kept = lists_.emplace(key, std::move(list)).first->second;
  if (by_adjacency_.size() <= kept.adjacency) by_adjacency_.resize(kept.adjacency + 1);
  by_adjacency_[kept.adjacency] = &kept;
  for (const Member& m : kept.members) {
    if (m.hop.interface == 0) followers_.insert({{vrf, m.hop.address}, &kept});
  }
  refresh(kept);
  return kept.adjacency;
}

void PathTable::retain(AdjacencyIndex adjacency) {
  if (adjacency >= by_adjacency_.size() || by_adjacency_[adjacency] == nullptr) return;
  ++by_adjacency_[adjacency]->routes;
}

void PathTable::release(AdjacencyIndex adjacency) {
  if (adjacency >= by_adjacency_.size() || by_adjacency_[adjacency] == nullptr) return;
  PathList& list = *by_adjacency_[adjacency];
  if (--list.routes > 0) return;
  by_adjacency_[adjacency] = nullptr;
  for (const Member& m : list.members) {
    const auto [begin, end] = followers_.equal_range({list.key.vrf, m.hop.address});
    const auto at = std::find_if(begin, end, [&](const auto& one) { return one.second == &list; });
    if (at != end) followers_.erase(at);
  }
  if (list.has_balance) stack_.adjacencies.free_balance(adjacency);
  for (const Member& m : list.members) give_up(list.key, m);
  const Key key = list.key;  // By a copy: the key lies within what is erased.
  lists_.erase(key);
}

std::span<const NextHop> PathTable::hops(AdjacencyIndex adjacency) const {
  if (adjacency >= by_adjacency_.size() || by_adjacency_[adjacency] == nullptr) return {};
  return by_adjacency_[adjacency]->key.hops;
}

NextHop PathTable::hop_now(const PathList& list, const Member& member) const {
  NextHop hop = member.hop;
  if (member.is_recursive) {
    hop.may_be_unreached = hop.may_be_unreached || resolve(list, member) == kNoRoute;
    return hop;
  }
  if (hop.interface != 0 || hop.may_be_unreached) return hop;
  const InterfaceEntry& entry = stack_.interfaces[stack_.adjacencies[member.adjacency].interface];
  bool is_on_link = false, is_on_lease = false;
  for (const InterfaceAddress& a : entry.addresses) {
    if (a.prefix.contains(hop.address)) (a.is_leased ? is_on_lease : is_on_link) = true;
  }
  hop.may_be_unreached = !is_on_link && is_on_lease;
  uint16_t said = 0;  // By a route to the link.
  const bool is_said = is_connected(list.key.vrf, hop.address, said) && said == entry.index;
  if (!is_on_link && !is_on_lease && !is_said) hop.interface = entry.index;
  return hop;
}

std::vector<NextHop> PathTable::hops_now(AdjacencyIndex adjacency) const {
  std::vector<NextHop> all;
  if (adjacency >= by_adjacency_.size() || by_adjacency_[adjacency] == nullptr) return all;
  const PathList& list = *by_adjacency_[adjacency];
  for (const Member& m : list.members) all.push_back(hop_now(list, m));
  return all;
}

bool PathTable::uses(AdjacencyIndex adjacency, uint16_t interface) const {
  if (adjacency >= by_adjacency_.size() || by_adjacency_[adjacency] == nullptr) return false;
  return is_direct(*by_adjacency_[adjacency], interface);
}

bool PathTable::leads_through(uint16_t interface) const {
  return std::any_of(lists_.begin(), lists_.end(),
                     [&](const auto& known) { return is_direct(known.second, interface); });
}

bool PathTable::has_hop(const InterfaceEntry& entry, const IpAddress& address) const {
  const auto is_it = [&](const NextHop& hop) {
    return hop.address == address && (!address.is_link_local() || hop.interface == entry.index);
  };
  return std::any_of(lists_.begin(), lists_.end(), [&](const auto& known) {
    const Key& key = known.first;
    return (address.is_link_local() || key.vrf == entry.vrf) &&
           std::any_of(key.hops.begin(), key.hops.end(), is_it);
  });
}

bool PathTable::is_direct(const PathList& list, uint16_t interface) const {
  return std::any_of(list.members.begin(), list.members.end(), [&](const Member& m) {
    return !m.is_recursive && stack_.adjacencies[m.adjacency].interface == interface;
  });
}

// The adjacency that a member's packets take now; kNoRoute when it has none.
AdjacencyIndex PathTable::resolve(const PathList& list, const Member& member) const {
  if (!member.is_recursive) {
    const uint16_t interface = stack_.adjacencies[member.adjacency].interface;
    return stack_.interfaces[interface].is_up() ? member.adjacency : kNoRoute;
  }
  const Fib& fib = stack_.fib(list.key.family, list.key.vrf);
  const auto cover = fib.covering(member.hop.address);
  // The default route leads everywhere, and so says nothing of a next hop. What leads back here is
  // no way at all.
  if (!cover || cover->prefix.length == 0 || cover->adjacency == list.adjacency) return kNoRoute;
  switch (stack_.adjacencies[cover->adjacency].kind) {
    case AdjacencyKind::Balance:
    case AdjacencyKind::Incomplete:
    case AdjacencyKind::Rewrite: return cover->adjacency;
    case AdjacencyKind::Glean:
    case AdjacencyKind::NoRoute:
    case AdjacencyKind::Local:
    case AdjacencyKind::Drop:
    case AdjacencyKind::LinkScope: return kNoRoute;
  }
  UNREACHABLE();
}

void PathTable::refresh(PathList& list) {
  if (!list.has_balance) return;
  std::vector<uint32_t> weights;
  std::vector<AdjacencyIndex> ways;
  for (Member& m : list.members) {
    ways.push_back(resolve(list, m));
    weights.push_back(ways.back() == kNoRoute ? 0u : uint32_t{m.hop.weight});
  }
  Balance& balance = stack_.adjacencies.balance(list.adjacency);
  const bool any = std::any_of(ways.begin(), ways.end(), [](auto w) { return w != kNoRoute; });
  if (!any) {
    balance.buckets.fill(kNoRoute);
    balance.members.fill(Balance::kNobody);
    return;
  }
  std::vector<uint32_t> quota = shares(weights);
  // First whoever keeps a bucket, then whoever still wants one.
  for (uint8_t& member : balance.members) {
    if (member != Balance::kNobody && quota[member] > 0) {
      --quota[member];
    } else {
      member = Balance::kNobody;
    }
  }
  size_t next = 0;
  for (size_t i = 0; i < Balance::kBuckets; ++i) {
    uint8_t& member = balance.members[i];
    if (member == Balance::kNobody) {
      // By turns, so that what one leaves is spread over all others.
      while (quota[next % quota.size()] == 0) ++next;
      member = static_cast<uint8_t>(next++ % quota.size());
      --quota[member];
    }
    balance.buckets[i] = ways[member];
  }
}

template <class Act>
void PathTable::for_followers(uint16_t vrf, const net::Prefix& prefix, Act act) {
  auto it = followers_.lower_bound({vrf, prefix.network().address});
  for (; it != followers_.end(); ++it) {
    const auto& [of, hop] = it->first;
    if (of != vrf || !prefix.contains(hop)) break;
    act(*it->second, hop);
  }
}

void PathTable::route_changed(uint16_t vrf, const net::Prefix& prefix) {
  for_followers(vrf, prefix, [&](PathList& list, const IpAddress& hop) {
    const bool concerns = std::any_of(list.members.begin(), list.members.end(), [&](auto& m) {
      return m.is_recursive && m.hop.address == hop;
    });
    if (concerns) refresh(list);
  });
}

void PathTable::follow(uint16_t vrf, const net::Prefix& prefix) {
  const Family family = prefix.address.family;
  stack_.neighbours(family).route_changed(stack_.fib(family, vrf), prefix);
  for_followers(vrf, prefix, [this](PathList& list, const IpAddress& hop) { follow(list, hop); });
}

void PathTable::follow(PathList& list, const IpAddress& hop) {
  bool is_another = false;
  for (Member& m : list.members) {
    if (m.hop.interface != 0 || m.hop.address != hop) continue;
    Member now = m;
    if (!resolve_again(list, now)) continue;
    if (!list.has_balance) part(list);
    give_up(list.key, std::exchange(m, now));
    is_another = true;
  }
  if (is_another) refresh(list);
}

// Where the routes lead to a next hop now. False when it is where it was, or they do not say.
bool PathTable::resolve_again(const PathList& list, Member& m) {
  uint16_t interface = 0;
  if (is_connected(list.key.vrf, m.hop.address, interface)) {
    if (!m.is_recursive && stack_.adjacencies[m.adjacency].interface == interface) return false;
    const auto direct = resolve_new(list.key, m.hop);
    if (direct) m = *direct;  // A full neighbour table leaves it as it is.
    return direct.has_value();
  }
  const Member through{.hop = m.hop, .is_recursive = true};
  if (m.is_recursive || resolve(list, through) == kNoRoute) return false;
  m = through;
  return true;
}

// A list that has its one neighbour's adjacency keeps it, as a balance of its own: its routes have
// that number. The neighbour gets another.
void PathTable::part(PathList& list) {
  const Member& only = list.members[0];
  NeighbourTable& table = stack_.neighbours(list.key.family);
  const AdjacencyIndex old = list.adjacency;
  Neighbour& n = *table.find(stack_.adjacencies[old].interface, only.hop.address);
  table.move_out(n);
  stack_.adjacencies.become_balance(old);
  list.has_balance = true;
  for (auto& [key, other] : lists_) {
    for (Member& m : other.members) {
      if (!m.is_recursive && m.adjacency == old) m.adjacency = n.adjacency();
    }
    if (is_direct(other, n.interface())) refresh(other);
  }
}

void PathTable::interface_changed(uint16_t interface) {
  for (auto& [key, list] : lists_) {
    if (is_direct(list, interface)) refresh(list);
  }
}

}  // namespace wh::vnet
