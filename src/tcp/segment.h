// A received TCP segment, read and in host order, and the header that a connection writes on all it
// sends.
//
// HeaderTemplate holds IP and TCP headers prebuilt for one connection; writing a segment's header
// is copying it and patching lengths, numbers, window and checksum. A burst goes one step further:
// its HeaderStamp is written once, and its packets are copies that differ in their sequence number.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "net/packet.h"
#include "net/wire/tcp.h"
#include "tcp/types.h"

namespace wh::tcp {

using net::TcpFlags;

struct Segment {
  // Not "= default": that would be a constant, for which GCC clears all of it by a string
  // instruction, and it has a slow start.
  Segment() {}

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
  SeqNum data_end() const { return seq + SeqLen(payload); }  // REQUIRES: no SYN.
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
  friend class HeaderStamp;
  uint8_t* emit(uint8_t* ip, const Fields& fields) const;
  std::array<uint8_t, 60> bytes_{};
  uint32_t ip_size_ = 20;
  uint16_t table_ = 0;
  uint32_t ip_sum_ = 0;      // Of the IPv4 header's constant words, in network order.
  uint64_t pseudo_sum_ = 0;  // Of the pseudo-header without the length, words in host order.
};

// The headers of a burst's packets, with timestamps for their only options or none. All that
// differs from packet to packet is the sequence number, the flags of the last one, and the length
// where it is shorter.
class HeaderStamp {
 public:
  // `fields.options` is 0, or kTimestampBytes with the two timestamps given.
  HeaderStamp(const HeaderTemplate& headers, const HeaderTemplate::Fields& fields,
              const net::TcpTimestamps& timestamps);
  // Of the packets from now on, in bytes.
  void set_payload(uint32_t payload);
  // Makes them the headers of an empty packet; as HeaderTemplate::write().
  void press(net::Packet& packet, SeqNum seq, TcpFlags flags) const {
    uint8_t* ip = packet.append(size_);
    // All of it, which is quicker than so much of it: what lies behind size_ is nobody's yet.
    std::memcpy(ip, bytes_.data(), kRoom);
    uint8_t* tcp = ip + headers_.ip_size();
    net::store32(tcp + 4, seq.value());
    tcp[13] = static_cast<uint8_t>(flags.bits);
    packet.checksum = net::Checksum::Needed;
    packet.l4_offset = static_cast<uint16_t>(headers_.ip_size());
    packet.table = headers_.table_;
  }
  uint32_t size() const { return size_; }

 private:
  static constexpr uint32_t kRoom = 80;  // IPv6, TCP and timestamps are 72.
  const HeaderTemplate& headers_;
  HeaderTemplate::Fields fields_;
  uint32_t size_;
  std::array<uint8_t, kRoom> bytes_{};
};

// Completes the checksum of a segment made here, as net::complete_checksum(), without looking for
// where it is.
void complete_tcp_checksum(net::Packet& segment);

// The timestamps option behind two NOPs (RFC 7323 appendix A).
constexpr uint32_t kTimestampBytes = 12;
void write_timestamps(uint8_t* at, const net::TcpTimestamps& timestamps);

// The SACK option behind two NOPs (as there); nothing for no blocks.
constexpr uint32_t sack_bytes(size_t blocks) {
  return blocks == 0 ? 0 : 4 + 8 * static_cast<uint32_t>(blocks);
}
void write_sacks(uint8_t* at, std::span<const SeqRange> blocks);

}  // namespace wh::tcp
