// The nodes of a vnet, by the files that hold them. Each function adds its nodes to the stack's
// graph and notes in stack.node those that packets are handed to from outside a batch. Private to
// the room.
#pragma once

#include <algorithm>

#include "vnet/packet_tools.h"
#include "vnet/stack.h"

namespace wh::vnet {

void add_ethernet_nodes(Stack& stack);  // ethernet-input, interface-output
constexpr uint16_t kHandoffFull = 1;    // Error of the nodes that hand packets off (replica.cc).
constexpr uint16_t kNoRouteError = 0;   // Of ip4-lookup and ip6-lookup.
enum InterfaceOutputError : uint16_t { kOutputDown, kOutputGone };
// NAME-output and NAME-tx. Those that it had when it was here before, or else of an interface that
// went, whose name is returned; "" in any other case.
std::string add_tx_node(Stack& stack, InterfaceEntry& entry);
void retire_tx_node(Stack& stack, const InterfaceEntry& entry);
// The node under which the reading of devices of one kind is booked, before ethernet-input.
graph::NodeIndex add_input_node(Stack& stack, std::string_view name);
void add_gso_node(Stack& stack);          // gso
void add_arp_nodes(Stack& stack);         // arp-input, arp-reply, ip4-arp; makes stack.arp
void add_ip4_nodes(Stack& stack);         // ip4-input, ip4-lookup, ip4-rewrite
void add_ip4_local_nodes(Stack& stack);   // ip4-local
void add_ip6_nodes(Stack& stack);         // ip6-input, ip6-lookup, ip6-link-local, ip6-rewrite
void add_ip6_local_nodes(Stack& stack);   // ip6-local
void add_nd_nodes(Stack& stack);          // ip6-discover-neighbor, icmp6-neighbor-*; makes stack.nd
void add_icmp4_nodes(Stack& stack);       // ip4-icmp-input, ip4-icmp-echo-request
void add_icmp6_nodes(Stack& stack);       // ip6-icmp-input, ip6-icmp-echo-request
void add_icmp_error_nodes(Stack& stack);  // ip4-icmp-error, ip6-icmp-error
void add_udp_nodes(Stack& stack);         // ip4-udp-lookup, ip6-udp-lookup; makes stack.udp
void add_fragment_nodes(Stack& stack);    // ip4-frag, ip6-frag
void add_reassembly_nodes(Stack& stack);  // ip4-full-reassembly, ip6-full-reassembly
void add_source_check_nodes(Stack& stack);  // ip4-source-check, ip6-source-check

// Counts a packet as one whose hops are used up, at ip4-input or ip6-input as VPP has it, and notes
// what ip4-icmp-error or ip6-icmp-error is to answer.
void expire4(Stack& stack, net::Packet& packet);
void expire6(Stack& stack, net::Packet& packet);

// REQUIRES: the interface is attached.
void set_source_check(Stack& stack, uint16_t interface, net::Family family, SourceCheck check);

// Asks whether somebody else has a new address (RFC 4862 section 5.4), which is used meanwhile (RFC
// 4429).
void start_duplicate_detection(Stack& stack, InterfaceEntry& entry, const net::Ip6& address);

// The node that gives segments to a registered protocol, made at its first registration:
// "tcp4-input". Returns the arcs that ip4-local and ip6-local have to it.
struct ProtocolArcs {
  graph::Arc ip4, ip6;
};
ProtocolArcs add_protocol_nodes(Stack& stack, uint8_t protocol);

// Fault names of a header view as counters of a node; the fault's number is the counter's.
template <size_t N>
std::vector<graph::ErrorSpec> errors_of(const std::array<const char*, N>& fault_names) {
  std::vector<graph::ErrorSpec> errors;
  for (const char* text : fault_names) {
    std::string name = text;
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
    errors.push_back({name, graph::Severity::Error, text});
  }
  return errors;
}
template <class T>
std::vector<T> operator+(std::vector<T> a, const std::vector<T>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace wh::vnet
