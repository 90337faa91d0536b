// NAT44: many inside hosts behind a few outside IPv4 addresses (RFC 3022), as RFC 4787, 5382 and
// 5508 ask of one.
//
//   inside interface --> ip4-lookup --> ip4-rewrite --> nat44-in2out-output --> outside interface
//   outside interface --> nat44-out2in --> ip4-lookup --> inside interface
//   inside interface --> nat44-hairpinning --> ip4-lookup --> inside interface
//
// A *mapping* joins an inside address and port (or ICMP echo identifier) with an outside one, for
// all peers (endpoint-independent mapping and filtering). An inside endpoint is one of a VRF, and
// what comes for it is looked up there. A mapping is made by the first packet that
// leaves by an outside interface, having come by an inside one or been made by this host; keeps the
// port when that is free; and ends when it was idle for long enough. *Static mappings* forward a
// port of an outside address to an inside host, or a whole address.
//
// ICMP errors are translated with the packet they quote, in both directions. What comes to a pool
// address by an outside interface and has no mapping goes to this host if the address is its own,
// else is dropped. An outside interface answers ARP for those that are on its link. Bounds:
// `max_mappings` dynamic ones; at the bound one that has ended is used again, or nothing new is
// mapped (counted, dropped). However many have ended, few are taken away at a time (SessionAges).
// Fragments wait for their first (shallow reassembly). No application gateways.
//
// Hairpinning (RFC 4787 section 6, RFC 5382 REQ-8): an inside host reaches another, or itself, by
// what that one is outside. Both ends of a packet are translated, so that the answer comes back
// here. ICMP errors are, with the packet they quote (RFC 5508 section 5); echo requests only to the
// static mapping of a whole address, for their identifiers are chosen without regard to others.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "core/random.h"
#include "core/result.h"
#include "core/siphash.h"
#include "net/address.h"
#include "vnet/nat_ports.h"
#include "vnet/session_ages.h"

namespace wh::vnet {

struct Stack;

struct NatTimeouts {
  Duration udp = 300s;               // RFC 4787 REQ-5.
  Duration tcp_established = 7440s;  // RFC 5382 REQ-5.
  Duration tcp_transitory = 240s;
  Duration icmp = 60s;  // RFC 5508 REQ-2.
  bool operator==(const NatTimeouts&) const = default;
};

enum class NatRole : uint8_t { None, Inside, Outside };

// An address and port on one side; for ICMP the port is the echo identifier.
struct NatEndpoint {
  uint8_t protocol = 0;
  net::Ip4 address;
  uint16_t port = 0;
  uint16_t vrf = 0;  // Of inside endpoints.
  bool operator==(const NatEndpoint&) const = default;
};

struct NatStatic {
  uint8_t protocol = 0;  // 0: the whole address, any protocol and port.
  net::Ip4 outside;
  uint16_t outside_port = 0;
  net::Ip4 inside;
  uint16_t inside_port = 0;
  uint16_t vrf = 0;  // Which the inside host is in, by its index.
  bool operator==(const NatStatic&) const = default;
};

struct NatMapping : SessionAges::Session {
  NatMapping(const NatEndpoint& in, const NatEndpoint& out) : inside(in), outside(out) {}
  NatEndpoint inside, outside;
  bool is_established = false;  // TCP: both sides were heard, neither has closed.
  bool out_seen = false, in_seen = false;
  uint64_t packets = 0, bytes = 0;
};

class Nat44 {
 public:
  static constexpr size_t kMaxAddresses = 256;
  static constexpr size_t kMaxStatic = 65'536;
  static constexpr size_t kUsualMappings = 65'536;

  explicit Nat44(Stack& stack);

  // --- configuration ---
  // Errors: no such interface; it has a role, or is a bridge's.
  Result<void> set_role(uint16_t interface, NatRole role);
  NatRole role(uint16_t interface) const {
    return interface < roles_.size() ? roles_[interface] : NatRole::None;
  }
  // A pool address. Errors: not a host's; is in the pool; the pool is full.
  Result<void> add_address(net::Ip4 address);
  Result<void> remove_address(net::Ip4 address);
  // The IPv4 addresses that an interface has at any time are pool addresses, too. Errors: no such
  // interface; it is one already, or (to remove) is none.
  Result<void> add_interface_addresses(uint16_t interface);
  Result<void> remove_interface_addresses(uint16_t interface);
  // Ends the dynamic mappings of either endpoint. Errors: a port without TCP, UDP or ICMP, or of 0;
  // an address that is not a host's; an endpoint has a static one.
  Result<void> add_static(const NatStatic& mapping);
  Result<void> remove_static(const NatStatic& mapping);
  // Errors: 0. Of more than that those longest idle go, few at a time.
  Result<void> set_max_mappings(size_t n);
  // Of mappings that there are, too.
  void set_timeouts(const NatTimeouts& timeouts);
  void forget(uint16_t interface);  // It is detached.
  // A VRF goes: so do the dynamic mappings of its hosts. Error: a static mapping leads into it.
  Result<void> leave_vrf(uint16_t vrf);
  // Ends the dynamic mappings of an outside address that is not of the pool any more: it was
  // removed from it, or its interface has lost it.
  void end_unpooled(net::Ip4 address);

  // --- what there is ---
  const std::vector<net::Ip4>& addresses() const { return addresses_; }  // Given one by one.
  const std::vector<uint16_t>& address_interfaces() const { return address_interfaces_; }
  std::vector<net::Ip4> pool() const;  // Those, and what these interfaces have now.
  const std::vector<NatStatic>& statics() const { return statics_; }
  const NatTimeouts& timeouts() const { return timeouts_; }
  size_t max_mappings() const { return ages_.most(); }
  size_t size() const { return ages_.size(); }
  std::vector<const NatMapping*> mappings() const;  // Dynamic ones, longest idle first.
  Instant end_of(const NatMapping& m) const { return ages_.end_of(m); }
  void clear();  // Ends all dynamic mappings.

  // --- what the nodes ask ---
  bool is_pool_address(net::Ip4 address) const;  // Of static mappings of whole addresses, too.
  // Whether an outside interface answers ARP for an address that is on its link but not its own:
  // one of the pool, or of a static mapping.
  bool is_on_link_of(uint16_t interface, net::Ip4 address) const;
  // Where an outside endpoint leads; nothing when there is no mapping.
  std::optional<NatEndpoint> inside_of(const NatEndpoint& outside);
  // The same of static mappings alone.
  std::optional<NatEndpoint> static_inside(const NatEndpoint& outside) const;
  // The outside endpoint of an inside one, its mapping made when need be and `make` says so.
  std::optional<NatEndpoint> outside_of(const NatEndpoint& inside, bool make);
  // A packet of a mapping passed.
  void note(const NatEndpoint& inside, bool outward, uint8_t tcp_flags, uint32_t size);

 private:
  struct Hash {
    SipKey key;
    size_t operator()(const NatEndpoint& e) const {
      return table_hash(
          key, {uint64_t{e.address.value} << 32 | uint64_t{e.port} << 16 | e.vrf, e.protocol});
    }
  };
  template <class Value>
  using Endpoints = std::unordered_map<NatEndpoint, Value, Hash>;
  enum Kind : uint8_t { kUdp, kTcpEstablished, kTcpTransitory, kIcmp };

  static uint8_t kind_of(const NatMapping& m);
  static SessionAges::IdleTimes idle_times(const NatTimeouts& t) {
    return {t.udp, t.tcp_established, t.tcp_transitory, t.icmp};
  }
  bool is_at_pool(uint16_t interface) const;
  bool is_of_interface(net::Ip4 address) const;
  std::optional<NatEndpoint> static_outside(const NatEndpoint& inside) const;
  std::optional<NatEndpoint> pick_outside(const NatEndpoint& inside);
  bool is_free(const NatEndpoint& outside);
  void end_dynamic(const NatStatic& whole);
  void erase(NatMapping& mapping);  // Which its age knows no more.

  Stack& stack_;
  Random random_;
  std::vector<NatRole> roles_;  // By interface.
  std::vector<net::Ip4> addresses_;
  std::vector<uint16_t> address_interfaces_;
  std::vector<NatStatic> statics_;
  SipKey key_;  // Strangers choose endpoints.
  Endpoints<NatStatic> static_in_, static_out_;
  std::unordered_map<uint32_t, uint32_t> static_addresses_;  // Mappings of each outside address.
  NatTimeouts timeouts_;
  SessionAges ages_;  // Of dynamic mappings, in groups of an outside address and an inside VRF.
  Endpoints<NatMapping> by_inside_;
  Endpoints<NatMapping*> by_outside_;
  NatPorts ports_;  // Of mappings of both kinds.
};

void add_nat44_nodes(Stack& stack);  // nat44-out2in and its siblings; makes stack.nat44

}  // namespace wh::vnet
