// Adjacencies: what a lookup finds, and all that is needed to send a packet there.
//
// An adjacency is 64 bytes, one cache line: what kind of end it is, the interface to leave by, and
// for a resolved neighbour the Ethernet header that is put before the packet as it stands (the
// *rewrite*). Routes refer to adjacencies by index and never change when a neighbour's address
// resolves or moves.
//
// The first few have fixed numbers. Others are made and freed by neighbours and connected prefixes.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "net/address.h"

namespace wh::vnet {

enum class AdjacencyKind : uint8_t {
  NoRoute,     // Nothing is known: unreachable.
  Local,       // For this host.
  Drop,        // Dropped without a word: what must never be routed.
  LinkScope,   // An address that means something only with an interface (fe80::/10, multicast).
  Glean,       // On a connected prefix: the destination itself is to be resolved.
  Incomplete,  // A neighbour whose link address is not known yet.
  Rewrite,     // A neighbour with its rewrite.
};

struct alignas(64) Adjacency {
  static constexpr uint32_t kRewriteCapacity = 22;  // Ethernet and two VLAN tags.

  AdjacencyKind kind = AdjacencyKind::NoRoute;
  uint8_t rewrite_size = 0;
  bool notice_use = false;  // Its neighbour is stale and wants to know when it is used again.
  uint16_t interface = 0;
  uint32_t mtu = 0;
  std::array<uint8_t, kRewriteCapacity> rewrite{};
  uint64_t packets = 0, bytes = 0;
};
static_assert(sizeof(Adjacency) == 64);

using AdjacencyIndex = uint32_t;
constexpr AdjacencyIndex kNoRoute = 0;
constexpr AdjacencyIndex kLocal = 1;
constexpr AdjacencyIndex kLocalMulticast = 2;  // Local too: broadcast and multicast.
constexpr AdjacencyIndex kDropAlways = 3;
constexpr AdjacencyIndex kLinkScope = 4;

class AdjacencyTable {
 public:
  AdjacencyTable() {
    for (const AdjacencyKind kind :
         {AdjacencyKind::NoRoute, AdjacencyKind::Local, AdjacencyKind::Local, AdjacencyKind::Drop,
          AdjacencyKind::LinkScope}) {
      hot_.push_back({.kind = kind});
      next_hops_.emplace_back();
    }
  }

  // A new one, by what it leads to; `next_hop` is what `show` prints, and whom Incomplete asks for.
  AdjacencyIndex make(AdjacencyKind kind, uint16_t interface, uint32_t mtu,
                      const net::IpAddress& next_hop) {
    if (free_.empty()) {
      free_.push_back(static_cast<AdjacencyIndex>(hot_.size()));
      hot_.emplace_back();
      next_hops_.emplace_back();
    }
    const AdjacencyIndex index = free_.back();
    free_.pop_back();
    hot_[index] = {.kind = kind, .interface = interface, .mtu = mtu};
    next_hops_[index] = next_hop;
    return index;
  }
  // The number may be used again; until then packets that still bear it find NoRoute.
  void free(AdjacencyIndex index) {
    hot_[index] = {};
    free_.push_back(index);
  }
  // Makes it a Rewrite with these bytes. REQUIRES: they fit.
  void resolve(AdjacencyIndex index, std::span<const uint8_t> rewrite) {
    Adjacency& a = hot_[index];
    CHECK(rewrite.size() <= Adjacency::kRewriteCapacity);
    a.kind = AdjacencyKind::Rewrite;
    a.rewrite_size = static_cast<uint8_t>(rewrite.size());
    std::memcpy(a.rewrite.data(), rewrite.data(), rewrite.size());
  }
  void set_mtu(uint16_t interface, uint32_t mtu) {
    for (Adjacency& a : hot_) {
      if (a.interface == interface && a.kind >= AdjacencyKind::Glean) a.mtu = mtu;
    }
  }
  void unresolve(AdjacencyIndex index) {
    hot_[index].kind = AdjacencyKind::Incomplete;
    hot_[index].notice_use = false;
  }

  Adjacency& operator[](AdjacencyIndex index) { return hot_[index]; }
  const Adjacency& operator[](AdjacencyIndex index) const { return hot_[index]; }
  const net::IpAddress& next_hop(AdjacencyIndex index) const { return next_hops_[index]; }
  size_t size() const { return hot_.size(); }

 private:
  std::vector<Adjacency> hot_;
  std::vector<net::IpAddress> next_hops_;
  std::vector<AdjacencyIndex> free_;
};

}  // namespace wh::vnet
