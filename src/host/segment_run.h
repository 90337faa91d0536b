// A run of TCP segments of one flow that can be given to the kernel as one, to be cut again there.
//
// Each frame that a packet socket is given costs the kernel as much as several thousand bytes do,
// and wakes the receiver. Segments that stand behind each other in a vector, continue each other
// and differ in nothing else (RFC 9293's sequence number and checksum, IPv4's identification
// counting up) are written as one segment of their sum with gso_size: the frames on the wire are
// byte for byte the same, made in one go. What the kernel's GRO asks for is asked for here, and
// checksums are verified first: the kernel will write new ones, which must not hide a broken byte.
//
// Nothing waits for a run to grow, and packets are not changed: the run's headers are a copy. A TAP
// device that was opened for it (host/tap.h) is given the same.
#pragma once

#include <sys/uio.h>

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

  // Of IPv4 packets that are never fragmented, where it means nothing (RFC 6864 section 4.1): kept,
  // or whatever whoever cuts the run counts up to.
  enum class Identification : uint8_t { Stays, MayChange };
  explicit SegmentRun(Identification identification = Identification::Stays)
      : identification_(identification) {}

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

  bool is_identified(const uint8_t* ip) const;

  Identification identification_;
  net::Packet* first_ = nullptr;
  std::array<uint8_t, kMostHeaders> headers_;
  bool is_v6_ = false;
  bool is_whole_ = false;  // A short segment or a flag says that nothing may follow.
  uint32_t tcp_at_ = 0, header_size_ = 0;
  uint32_t segments_ = 0, gso_size_ = 0, payload_ = 0;
};

// Where the pieces of messages lie that are to be written.
class IoParts {
 public:
  static constexpr size_t kMost = 1024;  // What the kernel takes in one message.
  void clear() { used_ = 0; }
  void add(const void* data, size_t size) {
    // Sound: the kernel reads what iovec points to, though the type lets it write.
    if (size != 0) parts_[used_++] = {const_cast<void*>(data), size};
  }
  size_t used() const { return used_; }
  iovec* at(size_t i) { return &parts_[i]; }
  // For a message of that many packets: two headers, and a head and two slices of each.
  bool has_room(size_t packets) const { return used_ + 2 + 3 * packets <= kMost; }

 private:
  size_t used_ = 0;
  std::array<iovec, kMost> parts_;
};

// Adds the pieces of one message: the first packet and those that continue it, behind `header`.
// `run` and `header` must stay until it is written. Returns how many packets it is of; 0, and
// nothing is added, when the first asks for work that cannot be expressed.
uint32_t add_message(std::span<net::Packet* const> from, SegmentRun& run, VirtioHeader& header,
                     IoParts& parts);

}  // namespace wh::host
