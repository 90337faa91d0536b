// The ways that people's routes take: lists of next hops, resolved and kept resolved.
//
//   route 192.0.2.0/24 --.
//   route 198.51.100.0/24 --> path list {via 10.0.0.1, via 10.0.0.5 weight 2} --> adjacency
//
// Routes with the same next hops share one path list, and the trie holds its adjacency, so a change
// of the way touches one adjacency and not the routes. What the adjacency is:
//   - one next hop that is a neighbour: the neighbour's own, unless another path list has that;
//   - one interface and no next hop: a glean, every destination is a neighbour;
//   - anything else (several next hops, or one that another route leads to, as BGP's do): a
//     *balance* of 64 buckets over the adjacencies that the next hops resolve to.
// A next hop without an interface goes the way that the routes say at any time: on the link that
// they say it is on, or where another route leads; once on a link it stays there when no route says
// anything else of it. It counts while its interface is up, or a route other than the default leads
// to it.
// When that changes, only the buckets of the next hop that came or went change, so other flows
// keep their way. A balance none of whose next hops counts drops.
//
// Ownership: a path list lives while routes refer to it, and keeps its neighbours' entries.
#pragma once

#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "net/address.h"
#include "vnet/adjacency.h"

namespace wh::vnet {

struct InterfaceEntry;
struct Stack;

struct NextHop {
  net::IpAddress address{};  // Unspecified: destinations are on the interface's link themselves.
  uint16_t interface = 0;    // 0: the one that the address is reached by.
  uint8_t weight = 1;        // Share of the flows, relative to the other next hops'; not 0.
  bool may_be_unreached = false;  // Until something leads to it, it does not count.
  auto operator<=>(const NextHop&) const = default;
};

class PathTable {
 public:
  static constexpr size_t kMaxHops = 16;

  explicit PathTable(Stack& stack) : stack_(stack) {}

  // One more route of a VRF that goes these ways; the adjacency it leads to. Errors: no next hops
  // or more than kMaxHops, two families, one that is this host or that nothing leads to, no such
  // interface or one that is bridged, a full neighbour table.
  Result<AdjacencyIndex> acquire(uint16_t vrf, net::Family family, std::span<const NextHop> hops);
  // One more route that takes a path list's adjacency. Nothing for any other.
  void retain(AdjacencyIndex adjacency);
  // One route less. Nothing for an adjacency that is no path list's.
  void release(AdjacencyIndex adjacency);
  // The next hops of a path list, as they were given; empty for any other adjacency.
  std::span<const NextHop> hops(AdjacencyIndex adjacency) const;

  // The same as they could be given again, when only what people set is there: one that nothing
  // leads to, or only an address that a DHCP server gave, may be unreached; one whose link has lost
  // the prefix that it was on has its interface.
  std::vector<NextHop> hops_now(AdjacencyIndex adjacency) const;

  // Whether a next hop of the path list is on this interface's link.
  bool uses(AdjacencyIndex adjacency, uint16_t interface) const;

  // The same of any path list.
  bool leads_through(uint16_t interface) const;

  // Whether an interface's address would be a next hop that somebody gave.
  bool has_hop(const InterfaceEntry& entry, const net::IpAddress& address) const;

  // What packets see for a prefix has changed: next hops within it that other routes lead to are
  // resolved again.
  void route_changed(uint16_t vrf, const net::Prefix& prefix);
  // The same of all next hops, which may be on another link now, or on none; and of neighbours. To
  // be called when a route or an address has come or gone, and not from within that change.
  void follow(uint16_t vrf, const net::Prefix& prefix);
  // An interface went up or down.
  void interface_changed(uint16_t interface);
  size_t size() const { return lists_.size(); }

 private:
  struct Member {
    NextHop hop;
    AdjacencyIndex adjacency = kNoRoute;  // What it resolves to now; kNoRoute when it does not.
    bool is_recursive = false;
  };
  struct Key {
    uint16_t vrf = 0;
    net::Family family = net::Family::V4;
    std::vector<NextHop> hops;
    auto operator<=>(const Key&) const = default;
  };
  struct PathList {
    Key key;
    std::vector<Member> members;
    AdjacencyIndex adjacency = kNoRoute;
    bool has_balance = false;
    bool owns_adjacency = false;
    uint64_t routes = 0;
  };

  NextHop hop_now(const PathList& list, const Member& member) const;
  Result<Member> resolve_new(const Key& key, const NextHop& hop);
  AdjacencyIndex resolve(const PathList& list, const Member& member) const;
  bool is_connected(uint16_t vrf, const net::IpAddress& address, uint16_t& interface) const;
  bool is_direct(const PathList& list, uint16_t interface) const;
  void give_up(const Key& key, const Member& member);
  void refresh(PathList& list);
  template <class Act>
  void for_followers(uint16_t vrf, const net::Prefix& prefix, Act act);
  void follow(PathList& list, const net::IpAddress& hop);
  bool resolve_again(const PathList& list, Member& member);
  void part(PathList& list);

  Stack& stack_;
  std::map<Key, PathList> lists_;
  std::vector<PathList*> by_adjacency_;
  // Those with a next hop that has no interface, by VRF and next hop.
  std::multimap<std::pair<uint16_t, net::IpAddress>, PathList*> followers_;
};

}  // namespace wh::vnet
