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
#include "vnet/features.h"

namespace wh::vnet {

enum class AdjacencyKind : uint8_t {
  NoRoute,     // Nothing is known: unreachable.
  Local,       // For this host.
  Drop,        // Dropped without a word: what must never be routed.
  LinkScope,   // An address that means something only with an interface (fe80::/10, multicast).
  Glean,       // On a connected prefix: the destination itself is to be resolved.
  Incomplete,  // A neighbour whose link address is not known yet.
  Rewrite,     // A neighbour with its rewrite.
  Balance,     // Several ways; a flow's hash picks one, whose adjacency may be a balance again.
};

struct alignas(64) Adjacency {
  static constexpr uint32_t kRewriteCapacity = 22;  // Ethernet and two VLAN tags.

  AdjacencyKind kind = AdjacencyKind::NoRoute;
  uint8_t rewrite_size = 0;
  bool notice_use = false;  // Its neighbour is stale and wants to know when it is used again.
  uint8_t output = 0;       // How ip4-rewrite and ip6-rewrite go on: by features, if there are any.
  uint16_t interface = 0;
  uint32_t mtu = 0;
  uint32_t balance = 0;  // Which, for Balance.
  std::array<uint8_t, kRewriteCapacity> rewrite{};
  uint64_t packets = 0, bytes = 0;
};
static_assert(sizeof(Adjacency) == 64);

using AdjacencyIndex = uint32_t;

// How flows are spread over several adjacencies.
struct Balance {
  static constexpr uint32_t kBuckets = 64;
  static constexpr uint32_t kMaxDepth = 4;  // A balance within a balance, so often; then a loop.
  static constexpr uint8_t kNobody = 0xff;
  std::array<AdjacencyIndex, kBuckets> buckets{};
  std::array<uint8_t, kBuckets> members{};  // Which of the next hops has the bucket.
};

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
    hot_[index] = {.kind = kind,
                   .output = output(interface, next_hop.family),
                   .interface = interface,
                   .mtu = mtu};
    next_hops_[index] = next_hop;
    return index;
  }
  // A new one of kind Balance, every bucket empty.
  AdjacencyIndex make_balance(const net::IpAddress& next_hop) {
    const AdjacencyIndex index = make(AdjacencyKind::Balance, 0, 0, next_hop);
    become_balance(index);
    return index;
  }
  // The same of one that there is: whoever leads to it finds a balance.
  void become_balance(AdjacencyIndex index) {
    hot_[index] = {
        .kind = AdjacencyKind::Balance, .packets = hot_[index].packets, .bytes = hot_[index].bytes};
    if (free_balances_.empty()) {
      free_balances_.push_back(static_cast<uint32_t>(balances_.size()));
      balances_.emplace_back();
    }
    hot_[index].balance = free_balances_.back();
    free_balances_.pop_back();
    balances_[hot_[index].balance].buckets.fill(0);
    balances_[hot_[index].balance].members.fill(Balance::kNobody);
  }
  // A new one like another, for who gives that up.
  AdjacencyIndex copy(AdjacencyIndex from) {
    const net::IpAddress next_hop = next_hops_[from];  // Which make() may move.
    const AdjacencyIndex index = make(hot_[from].kind, 0, 0, next_hop);
    hot_[index] = hot_[from];
    return index;
  }
  void free_balance(AdjacencyIndex index) {
    free_balances_.push_back(hot_[index].balance);
    free(index);
  }
  // REQUIRES: of kind Balance.
  Balance& balance(AdjacencyIndex index) { return balances_[hot_[index].balance]; }
  const Balance& balance(AdjacencyIndex index) const { return balances_[hot_[index].balance]; }
  // The adjacency a flow takes: one that is no balance. kNoRoute when none of its ways counts, or
  // when they lead in a circle.
  AdjacencyIndex pick(AdjacencyIndex index, uint32_t flow_hash) const {
    for (uint32_t depth = 0; depth < Balance::kMaxDepth; ++depth) {
      if (hot_[index].kind != AdjacencyKind::Balance) return index;
      index = balance(index).buckets[flow_hash % Balance::kBuckets];
      flow_hash = flow_hash >> 6 | flow_hash << 26;  // Other bits for the next choice.
    }
    return hot_[index].kind == AdjacencyKind::Balance ? 0 : index;
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
  // How the rewrite nodes of a family go on from packets that leave by an interface.
  void set_output(uint16_t interface, net::Family family, uint8_t output) {
    while (outputs_.size() <= interface) outputs_.push_back(kNoFeatures);
    outputs_[interface][static_cast<size_t>(family)] = output;
    for (AdjacencyIndex i = 0; i < hot_.size(); ++i) {
      if (hot_[i].interface == interface && next_hops_[i].family == family) {
        hot_[i].output = output;
      }
    }
  }
  static bool has_interface(AdjacencyKind kind) {
    return kind == AdjacencyKind::Glean || kind == AdjacencyKind::Incomplete ||
           kind == AdjacencyKind::Rewrite;
  }
  void set_mtu(uint16_t interface, uint32_t mtu) {
    for (Adjacency& a : hot_) {
      if (a.interface == interface && has_interface(a.kind)) a.mtu = mtu;
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
  using Outputs = std::array<uint8_t, 2>;  // By family.
  static inline const Outputs kNoFeatures = {
      static_cast<uint8_t>(feature_after(FeatureArc::Ip4Output, -1, 0)),
      static_cast<uint8_t>(feature_after(FeatureArc::Ip6Output, -1, 0))};
  uint8_t output(uint16_t interface, net::Family family) const {
    const Outputs& o = interface < outputs_.size() ? outputs_[interface] : kNoFeatures;
    return o[static_cast<size_t>(family)];
  }

  std::vector<Adjacency> hot_;
  std::vector<Outputs> outputs_;  // By interface.
  std::vector<net::IpAddress> next_hops_;
  std::vector<AdjacencyIndex> free_;
  std::vector<Balance> balances_;
  std::vector<uint32_t> free_balances_;
};

}  // namespace wh::vnet
