// The interfaces of one vnet: index, device, addresses, and what the stack counts of each.
//
// Index 0 is local0: no device, and the interface of every packet that this host made itself. A new
// interface gets the least index that is free, as one that went may have left it: whoever keeps
// packets, or anything else by index, forgets them when an interface is detached (Vnet::detach).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/node.h"
#include "net/interface.h"
#include "vnet/features.h"

namespace wh::vnet {

constexpr uint16_t kLocalInterface = 0;

struct InterfaceAddress {
  net::Prefix prefix;  // With the host's own bits.
  enum class State : uint8_t { Ready, Tentative, Duplicated } state = State::Ready;
  int64_t probes_left = 0;    // Of duplicate address detection.
  bool is_leased = false;     // By a DHCP server: no configuration gives it.
  bool is_automatic = false;  // The link-local one that comes with others (router/router.h).
};

struct InterfaceEntry {
  uint16_t index = 0;
  std::string name;
  net::Interface* device = nullptr;  // nullptr: local0, or detached.
  FeatureMasks features{};
  std::array<uint8_t, 2> shallow_users{};  // Who wants shallow reassembly, in and out.
  bool is_elsewhere = false;               // Another thread has the device (vnet/replica.h).
  bool is_sub = false;                     // Its packets came by another interface before.
  bool is_bridged = false;                 // What comes in goes to its bridge domain.
  uint16_t vrf = 0;                        // Whose routes packets from here follow.
  graph::Arc tx_arc = 0;                   // From interface-output to NAME-output.
  graph::NodeIndex input_node = 0;         // Where its packets enter the graph.
  std::vector<InterfaceAddress> addresses;
  std::vector<net::Ip6> groups;  // IPv6 multicast groups joined, with repetitions.
  uint64_t drops = 0, ip4 = 0, ip6 = 0;

  bool is_up() const { return device != nullptr && device->is_up(); }
  uint32_t mtu() const { return device != nullptr ? device->mtu() : 0; }
  bool has_joined(const net::Ip6& group) const;
  const InterfaceAddress* find(const net::IpAddress& address) const;
  InterfaceAddress* find(const net::IpAddress& address);
  // Whether it is this host's here: found, and nobody else's on the link.
  bool owns(const net::IpAddress& address) const;
  // An address to send from towards `destination`: one whose prefix covers it, else the first of
  // its family that is usable; link-local ones only towards link-local and multicast destinations.
  // nullptr when there is none.
  const net::IpAddress* source_for(const net::IpAddress& destination) const;
  const net::Ip6* link_local() const;
  // Whether it is the first address of an IPv6 prefix here, which all routers of a link share (RFC
  // 4291 section 2.6.1); a link between two has none (RFC 6164 section 5.1).
  bool is_subnet_router(const net::Ip6& address) const;
  // Whether one of those addresses is solicited at this group.
  bool solicits_router(const net::Ip6& group) const;
};

class InterfaceTable {
 public:
  // Each has two nodes of its own, which a graph of 65,535 has room for.
  static constexpr size_t kMost = 30'000;

  InterfaceTable();

  // A new entry, its device set. Errors: the name is in use; too many.
  Result<InterfaceEntry*> add(net::Interface& device);
  void detach(uint16_t index);

  // Of an index that was given out: without a device when nobody has it now.
  InterfaceEntry& operator[](uint16_t index) { return *entries_[index]; }
  const InterfaceEntry& operator[](uint16_t index) const { return *entries_[index]; }
  // Attached, by name or number. Errors: none has it (with the nearest name).
  Result<uint16_t> find(std::string_view name) const;
  bool has(std::string_view name) const { return by_name_.contains(name); }
  Result<InterfaceEntry*> attached(uint16_t index);
  size_t size() const { return entries_.size(); }

  // Who has this address; nullptr when no interface of this host has. Link-local addresses are all
  // in VRF 0, and several interfaces may have one: the first of them.
  const uint16_t* owner(const net::IpAddress& address, uint16_t vrf = 0) const {
    const auto it = owners_.find({address, vrf});
    return it == owners_.end() ? nullptr : &it->second;
  }
  void set_owner(const net::IpAddress& address, uint16_t vrf, uint16_t index);
  // REQUIRES: the interface that had it has it no more.
  void clear_owner(const net::IpAddress& address, uint16_t vrf);
  // False for nearly all IPv4 addresses, given as they are on the wire, that nobody here has; true
  // for all that somebody has. Costs far less than owner().
  bool may_be_own(const uint8_t* ip4) const {
    const uint32_t bit = low_bits(ip4);
    return (own_bits_[bit / 64] >> (bit % 64) & 1) != 0;
  }

 private:
  struct Place {
    net::IpAddress address;
    uint16_t vrf;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    size_t operator()(const Place& p) const {
      return std::hash<net::IpAddress>{}(p.address) + p.vrf * size_t{0x9e3779b97f4a7c15u};
    }
  };
  void mark_own(const net::IpAddress& address);
  static uint32_t low_bits(const uint8_t* ip4) { return (ip4[2] & 15u) << 8 | ip4[3]; }

  std::vector<std::unique_ptr<InterfaceEntry>> entries_;
  std::map<std::string, uint16_t, std::less<>> by_name_;  // Attached ones.
  std::set<uint16_t> free_;                               // Of entries_, those without a device.
  std::unordered_map<Place, uint16_t, PlaceHash> owners_;
  std::array<uint64_t, 64> own_bits_{};  // By the last 12 bits of the IPv4 addresses among them.
};

}  // namespace wh::vnet
