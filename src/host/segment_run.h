// A run of TCP segments of one flow that can be given to the kernel as one, to be cut again there.
//
// Each frame that a packet socket is given costs the kernel as much as several thousand bytes do,
// and wakes the receiver. Segments that stand behind each other in a vector, continue each other
// and differ in nothing else (RFC 9293's sequence number and checksum, IPv4's identification
// counting up) are written as one segment of their sum with gso_size: the frames on the wire are
// byte for byte the same, made in one go. What the kernel's GRO asks for is asked for here, and
// checksums are verified first: the kernel will write new ones, which must not hide a broken byte.
//
// Nothing waits for a run to grow, and packets are not changed: the run's headers are a copy.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "host/offload.h"
#include "net/packet.h"

namespace wh::host {

class SegmentRun {
 public:
  static constexpr uint32_t kMostBytes = 65535;  // Of the IP packet that stands for all.
  static constexpr uint32_t kMostHeaders = 14 + 40 + 60;

  // Begins anew with a frame, which must stay until the run is written. False: it cannot be
  // continued, and is to be written as it is.
  bool begin(net::Packet& first);
  // Whether it continues what there is; then it is part of it. REQUIRES: begin() was true.
  bool append(net::Packet& next);

  uint32_t segments() const { return segments_; }
  uint32_t header_size() const { return header_size_; }
  // Of the whole. REQUIRES: segments() > 1.
  std::span<const uint8_t> headers();
  VirtioHeader offload() const;

 private:
  static constexpr uint32_t kIpAt = 14;
  uint32_t payload_of(const net::Packet& packet) const { return packet.size() - header_size_; }
  bool is_same_flow(const uint8_t* frame) const;
  bool is_verified(net::Packet& packet) const;

  net::Packet* first_ = nullptr;
  std::array<uint8_t, kMostHeaders> headers_;
  bool is_v6_ = false;
  bool is_whole_ = false;  // A short segment or a flag says that nothing may follow.
  uint32_t tcp_at_ = 0, header_size_ = 0;
  uint32_t segments_ = 0, gso_size_ = 0, payload_ = 0;
};

}  // namespace wh::host
