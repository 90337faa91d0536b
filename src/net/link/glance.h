// What a link looks at in a passing packet: its flow, and its ECN field.
//
// A glance is at an Ethernet frame as the sender made it, so nothing is assumed of it: where the
// headers do not parse, the packet belongs to no flow and cannot be marked. Headers that are not in
// the contiguous head are not searched for.
#pragma once

#include <optional>

#include "net/address.h"
#include "net/packet.h"

namespace wh::net {

constexpr uint8_t kEcnNotCapable = 0, kEcnCongestionExperienced = 3;  // RFC 3168 section 5.

// Both addresses, the protocol, and the ports of TCP and UDP (else 0). A fragment has no ports: all
// fragments of a packet are one flow (RFC 8290 section 4.1 hashes what it finds).
struct FlowKey {
  IpAddress source, destination;
  uint8_t protocol = 0;
  uint16_t source_port = 0, destination_port = 0;
  bool operator==(const FlowKey&) const = default;
};
uint64_t hash_of(const FlowKey& key, uint64_t salt);

struct Glance {
  FlowKey flow;
  uint32_t ip_offset = 0;         // From data().
  uint32_t transport_offset = 0;  // From data().
  uint32_t transport_size = 0;    // Header and payload, by the IP header's length.
  uint8_t traffic_class = 0;      // DSCP and ECN.
  bool is_fragment = false;
};
// Nothing when the packet is not IPv4 or IPv6, or is malformed.
std::optional<Glance> glance_at(const Packet& packet);

// Sets Congestion Experienced where the packet's ECN field says that its transport understands it
// (RFC 3168 section 5), and mends the IPv4 header's checksum. False, with nothing changed, where it
// does not.
bool mark_congestion(Packet& packet);

}  // namespace wh::net
