// Bridge domains: interfaces whose Ethernet frames reach one another as on one wire (IEEE 802.1D).
//
//   ethernet-input --(interface is a member)--> l2-input --> l2-forward ----> interface-output
//                                               learns        known MAC |--> the BVI's own input
//                                               the source    else: l2-flood, a copy to each member
//
// A domain learns which member a source address was last seen on, and forgets it after `age`
// without another frame. The table has a bound per domain; a source beyond it is not learnt,
// counted, and frames to it are flooded. The BVI is a loopback interface that is the router's own
// port in the domain: give it addresses, and what is sent to its MAC address is routed. Members of
// one split horizon group (other than 0) do not reach each other.
//
// Sub-interfaces are members without their tags: a frame leaves with the tags of the member it
// leaves by. Spanning tree, IGMP snooping: not here; a loop of bridges is yours to avoid.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "core/loop.h"
#include "core/result.h"
#include "core/siphash.h"
#include "net/address.h"

namespace wh::vnet {

struct Stack;

struct BridgeConfig {
  uint32_t id = 0;
  Duration age = std::chrono::seconds(1200);  // As if_bridge(4) has it; 0: never forgets.
  uint32_t max_entries = 2000;                // As if_bridge(4) has it.
  bool learn = true, forward = true, flood = true;
};

struct BridgeMember {
  uint16_t interface = 0;
  uint8_t group = 0;  // Split horizon.
  bool is_bvi = false;
};

class BridgeDomain {
 public:
  struct Entry {
    uint16_t interface = 0;
    bool is_static = false;
    Instant seen{};
  };
  struct MacHash {
    SipKey key;
    size_t operator()(const net::MacAddress& m) const {
      uint64_t v = 0;
      std::memcpy(&v, m.bytes.data(), 6);
      return table_hash(key, {v});
    }
  };

  explicit BridgeDomain(Random random) : entries_(0, MacHash{SipKey::draw(random)}) {}
  const BridgeConfig& config() const { return config_; }
  const std::vector<BridgeMember>& members() const { return members_; }
  const std::unordered_map<net::MacAddress, Entry, MacHash>& entries() const { return entries_; }
  const BridgeMember* member(uint16_t interface) const;

  // What a frame's source says. False when the table is full and it is not known.
  bool learn(const net::MacAddress& source, uint16_t interface, Instant now);
  // The member a destination is behind; 0 when it is not known or its entry is too old.
  uint16_t find(const net::MacAddress& destination, Instant now) const;

 private:
  friend class BridgeTable;
  void expire(Instant now);
  BridgeConfig config_;
  std::vector<BridgeMember> members_;
  std::unordered_map<net::MacAddress, Entry, MacHash> entries_;
};

class BridgeTable {
 public:
  static constexpr uint32_t kMaxMembers = 255;

  explicit BridgeTable(Stack& stack);

  // Errors: there is one of that number, number 0, bounds of 0 entries.
  Result<void> add(const BridgeConfig& config);
  // Another configuration for one that is there; what it has learnt stays. Errors: there is none,
  // bounds of 0 entries.
  Result<void> change(const BridgeConfig& config);
  // Its members leave it. Error: there is none.
  Result<void> remove(uint32_t id);
  // Errors: no such domain or interface; the interface is in a domain; it is no BVI and has
  // addresses, or something that sees routed packets only (access lists, a part in NAT44, a
  // policer, a source check, DHCP, router advertisements, a route); a BVI that is no loopback; the
  // domain has a BVI, or kMaxMembers.
  Result<void> add_member(uint32_t id, const BridgeMember& member);
  // Error: it is in no domain.
  Result<void> remove_member(uint16_t interface);
  // An entry given by a person, which neither ages nor moves. Errors: no such domain or member.
  Result<void> add_static(uint32_t id, const net::MacAddress& mac, uint16_t interface);
  Result<void> remove_static(uint32_t id, const net::MacAddress& mac);
  void flush(uint32_t id);  // Forgets what was learnt.

  BridgeDomain* find(uint32_t id) const;
  // The domain that an interface is in; nullptr when it is in none.
  BridgeDomain* of(uint16_t interface) const {
    return interface < by_interface_.size() ? by_interface_[interface] : nullptr;
  }
  std::vector<const BridgeDomain*> domains() const;  // By number.
  // For what looks at routed packets only: `what` is a verb's subject, "a policer". Error: the
  // interface is in a domain and not its BVI, so that its frames would pass unseen.
  Result<void> check_routed(uint16_t interface, std::string_view what) const;

 private:
  void tick();
  Result<void> check_member(const BridgeDomain& domain, const BridgeMember& member) const;
  Stack& stack_;
  std::unordered_map<uint32_t, std::unique_ptr<BridgeDomain>> domains_;
  std::vector<BridgeDomain*> by_interface_;
  Timer ageing_;
};

void add_bridge_nodes(Stack& stack);  // l2-input, l2-forward, l2-flood; makes stack.bridges

}  // namespace wh::vnet
