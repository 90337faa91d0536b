// A frame: a vector of up to 256 packets that move through the house together.
//
// Nodes take a frame and hand frames on, so that one node's code and tables stay in the cache for
// the whole vector. A frame owns its packets; those left in it when it is destroyed go back to
// their pool.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "net/packet.h"

namespace wh::net {

class Frame {
 public:
  static constexpr uint32_t kCapacity = 256;

  Frame() = default;
  Frame(Frame&& o) noexcept { take_all(o); }
  Frame& operator=(Frame&& o) noexcept {
    if (this != &o) {
      clear();
      take_all(o);
    }
    return *this;
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  ~Frame() { clear(); }

  uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == kCapacity; }
  Packet& operator[](uint32_t i) { return *packets_[i]; }
  std::span<Packet* const> packets() const { return {packets_, size_}; }

  // REQUIRES: not full.
  void push(PacketPtr packet) {
    CHECK(size_ < kCapacity);
    packets_[size_++] = packet.release();
  }
  // Takes over packets that are owned by nobody else. REQUIRES: room for all of them.
  void append(std::span<Packet* const> packets) {
    CHECK(packets.size() <= kCapacity - size_);
    copy(packets.data(), static_cast<uint32_t>(packets.size()), packets_ + size_);
    size_ += static_cast<uint32_t>(packets.size());
  }
  // Takes back the first `count` of those that release() gave up. REQUIRES: nothing came since.
  void take_back(uint32_t count) {
    CHECK(size_ == 0 && count <= kCapacity);
    size_ = count;
  }
  // Gives up every packet, null where it was taken; the frame is empty then. The span is good until
  // the next push, and whoever asked owns the packets in it.
  std::span<Packet*> release() { return {packets_, std::exchange(size_, 0)}; }
  // Takes packet i out; its place is null until release() or clear(). REQUIRES: not yet taken.
  PacketPtr take(uint32_t i) {
    CHECK(i < size_ && packets_[i] != nullptr);
    return PacketPtr(std::exchange(packets_[i], nullptr));
  }
  // Frees what was not taken.
  void clear() {
    for (uint32_t i = 0; i < size_; ++i) {
      if (packets_[i] != nullptr) PacketRelease{}(packets_[i]);
    }
    size_ = 0;
  }

 private:
  static void copy(Packet* const* from, uint32_t count, Packet** to) {
    if (count > 2) return void(std::memcpy(to, from, count * sizeof(Packet*)));
    // Most frames in a lab have one packet or two; copying them needs no call.
    if (count > 0) to[0] = from[0];
    if (count > 1) to[1] = from[1];
  }
  void take_all(Frame& o) {
    size_ = std::exchange(o.size_, 0);
    copy(o.packets_, size_, packets_);
  }
  uint32_t size_ = 0;
  Packet* packets_[kCapacity];
};

// Whoever takes frames of packets: a link, an interface's input, a node.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // Takes the packets out of the giver's frame, which frees what is left in it.
  virtual void accept(Frame&& frame) = 0;
  // A device begins to read what it is about to give: for those who book the time it takes.
  virtual void expect() {}
};

// Whoever takes packets one at a time: the stages of a link.
class PacketSink {
 public:
  virtual ~PacketSink() = default;
  virtual void accept(PacketPtr packet) = 0;
};

}  // namespace wh::net
