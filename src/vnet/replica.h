// Replicas: vnets that forward for another one, each in a thread of its own.
//
//   main vnet                                 replica (one a worker)
//   tables, neighbours, sockets, sessions     the same interfaces, routes and features
//      |   what it is told, and finds out  ->  told the same, in the same order
//      |<- what a replica leaves to it         forwards what needs no more than its tables
//
// All vnets of a router are set alike, so that an interface has one index in all of them. A replica
// asks nothing and answers nothing by itself: packets for this host, ARP and neighbour discovery,
// what waits for a neighbour and what is bridged it hands to the main vnet, which goes on at the
// node where the replica stopped. What the main vnet learns without being told (a neighbour, an
// address by DHCP) it says to its Discoveries; whoever keeps the replicas alike tells them.
// While something is set whose state all packets share (NAT44, policers, access lists that
// reflect), replicas leave all packets to the main vnet.
//
// Threads: a vnet belongs to its own; Handoff is called in the replica's, Discoveries in the main
// vnet's. How packets and news cross is the caller's matter (net/handoff_ring.h, router/workers.h).
#pragma once

#include <optional>

#include "net/frame.h"
#include "vnet/vnet.h"

namespace wh::vnet {

// Where the main vnet goes on with a packet.
enum class HandoffTo : uint8_t {
  EthernetInput,
  ArpInput,
  L2Input,
  Ip4Lookup,
  Ip6Lookup,
  Ip4Local,
  Ip6Local,
  Ip6LinkLocal,
  Output,  // By its interface, link header and all.
};
constexpr size_t kHandoffs = static_cast<size_t>(HandoffTo::Output) + 1;

class Handoff {
 public:
  virtual ~Handoff() = default;
  // Takes a copy of the packet for the main vnet. False when there is no room.
  virtual bool take(const net::Packet& packet, HandoffTo to) = 0;
  // A neighbour was used for the first time since it was told of.
  virtual void note_use(uint16_t interface, const net::IpAddress& neighbour) = 0;
};

class Discoveries {
 public:
  virtual ~Discoveries() = default;
  // Its link address was confirmed, or (nothing) is not known any more.
  virtual void neighbour(uint16_t interface, const net::IpAddress& address,
                         const std::optional<net::MacAddress>& mac) = 0;
  // DHCP gave an address, or took it back.
  virtual void address(uint16_t interface, const net::Prefix& prefix, bool is_there) = 0;
  virtual void default_router(uint16_t interface, net::Ip4 router, bool is_there) = 0;
};

// --- of the main vnet ---
// nullptr: nobody is to be told. It must outlive the vnet otherwise.
void set_discoveries(Vnet& vnet, Discoveries* discoveries);
// Enqueues a packet that a replica handed off; the caller runs the graph after the last.
void take_over(Vnet& vnet, net::PacketPtr packet, HandoffTo to);
void note_neighbour_use(Vnet& vnet, uint16_t interface, const net::IpAddress& address);

// --- of a replica ---
void mirror_neighbour(Vnet& vnet, uint16_t interface, const net::IpAddress& address,
                      const std::optional<net::MacAddress>& mac);
void mirror_address(Vnet& vnet, uint16_t interface, const net::Prefix& prefix, bool is_there);
void mirror_default_router(Vnet& vnet, uint16_t interface, net::Ip4 router, bool is_there);

// An interface whose device only the main vnet has: what would be sent is handed off instead.
class HandoffInterface final : public net::Interface {
 public:
  using Interface::Interface;

 private:
  void send(net::Frame&&) override { UNREACHABLE(); }
};

// The nodes of a replica that hand packets off, put before those that would work on them.
void add_handoff_nodes(Stack& stack);
// Whether something is set whose state all packets share; to be called when that may have changed.
void note_shared_state(Stack& stack);

}  // namespace wh::vnet
