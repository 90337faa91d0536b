// A received TCP segment, read and in host order, and the header that a connection writes on all it
// sends.
//
// HeaderTemplate holds IP and TCP headers prebuilt for one connection; writing a segment's header
// is copying it and patching lengths, numbers, window and checksum.
#pragma once

#include <array>
#include <cstdint>

#include "net/packet.h"
#include "net/wire/tcp.h"
#include "tcp/types.h"

namespace wh::tcp {

using net::SeqLen;
using net::SeqNum;
using net::TcpFlags;

struct Segment {
  Endpoint source, destination;
  SeqNum seq, ack;
  TcpFlags flags;
  uint16_t window = 0;      // Unscaled.
  uint8_t ecn = 0;          // The IP header's.
  uint32_t payload_at = 0;  // Offset of the payload's first byte in the packet.
  uint32_t payload = 0;     // Bytes.
  Instant arrival{};
  net::TcpOptions options;
  const net::Packet* packet = nullptr;

  bool has(TcpFlags f) const { return flags.has(f); }
  SeqNum end() const {
    return seq + SeqLen(payload + (has(net::kTcpSyn) ? 1u : 0u) + (has(net::kTcpFin) ? 1u : 0u));
  }
};

class HeaderTemplate {
 public:
  HeaderTemplate() = default;
  // REQUIRES: both addresses are of one family.
  HeaderTemplate(const Endpoint& local, const Endpoint& remote);

  uint32_t ip_size() const { return ip_size_; }
  void set_hop_limit(uint8_t hops);  // TTL or hop limit; 64 at first.
  // What an Ethernet frame with `options` bytes of TCP options has beside payload.
  uint32_t frame_overhead(uint32_t options) const { return 14 + ip_size_ + 20 + options; }

  struct Fields {
    SeqNum seq, ack;
    TcpFlags flags;
    uint16_t window = 0;
    uint8_t tos = 0;       // DSCP and ECN.
    uint32_t options = 0;  // Bytes of options, a multiple of 4; the caller writes them.
    uint32_t payload = 0;  // Bytes; the caller appends them.
  };
  // Writes IP and TCP headers into an empty packet; returns where the options go. The TCP checksum
  // field holds the pseudo-header's sum: the packet is marked Checksum::Needed.
  uint8_t* write(net::Packet& packet, const Fields& fields) const;

 private:
  std::array<uint8_t, 60> bytes_{};
  uint32_t ip_size_ = 20;
  uint32_t ip_sum_ = 0;      // Of the IPv4 header's constant words, in network order.
  uint64_t pseudo_sum_ = 0;  // Of the pseudo-header without the length, words in host order.
};

}  // namespace wh::tcp
