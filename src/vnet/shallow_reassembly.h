// Shallow reassembly: what ports a fragment belongs to, without putting it together.
//
//   ip4-sv-reassembly (input arc), ip4-output-sv-reassembly (output arc), and the same with ip6-
//
// The first fragment's transport header says it for all; it is remembered by source, destination,
// identifier and, of IPv4, protocol, and noted on later fragments (in Packet::flow_hash). Fragments
// that come before their first wait for it. Bounds: kMaxFlows remembered, kMaxHeld waiting for one,
// kLifetime both; what waits longer is dropped, counted. Enabled on an interface by what needs it:
// access lists, and of IPv4 NAT. An IPv6 fragment's protocol is what its own fragment header names:
// when that is one more extension header, later fragments stay without ports.
#pragma once

#include <optional>

#include "net/wire/ip6.h"
#include "vnet/nodes.h"

namespace wh::vnet {

struct Transport {
  uint8_t protocol = 0;
  uint16_t source_port = 0, destination_port = 0;  // For ICMP: type and code.
  std::optional<uint16_t> echo_id;                 // Of an ICMP echo or its reply.
  uint8_t tcp_flags = 0;
  bool is_first = true;  // The transport header is in this packet, at `offset`.
  uint32_t offset = 0;   // From data().
};
// Of a packet that passed ip4-sv-reassembly, or is no fragment; its IP header is at l3_offset.
// Makes the first bytes of the transport header contiguous. Nothing for a protocol without ports,
// or when the packet ends before them.
std::optional<Transport> transport_of(net::Packet& p);
// The same of IPv6, whose extension headers were read into `e`, and ip6-sv-reassembly.
std::optional<Transport> transport_of(net::Packet& p, const net::Ip6Extensions& e);

// A later fragment of a flow that got another port or echo identifier: what comes behind sees it.
void note_port(net::Packet& p, const Transport& t, bool is_source, uint16_t port);

// Who wants it on a side of an interface: it is on while somebody does.
enum class ShallowUser : uint8_t { Acl = 1, Nat = 2 };
void want_shallow_reassembly(Stack& stack, uint16_t interface, bool input, ShallowUser user,
                             bool on);

void add_shallow_reassembly_nodes(Stack& stack);

}  // namespace wh::vnet
