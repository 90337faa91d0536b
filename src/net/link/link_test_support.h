// What the tests of links share: packets made from a few words, and a far end that remembers what
// came, and when.
#pragma once

#include <string>
#include <vector>

#include "core/virtual_loop.h"
#include "net/frame.h"

namespace wh::net {

// An Ethernet frame of `size` bytes with no meaning. REQUIRES: size >= 14 + 4; the four bytes
// behind the header carry `number`, which tells packets apart.
inline PacketPtr raw_packet(PacketPool& pool, uint32_t size, uint32_t number = 0) {
  std::vector<uint8_t> bytes(size, 0);
  bytes[12] = 0x88;  // An ethertype for experiments: 0x88b5.
  bytes[13] = 0xb5;
  std::memcpy(bytes.data() + 14, &number, sizeof number);
  PacketPtr packet = pool.allocate();
  packet->assign(bytes);
  return packet;
}

inline uint32_t number_of(const Packet& packet) {
  uint32_t number = 0;
  std::memcpy(&number, packet.data() + 14, sizeof number);
  return number;
}

inline Frame frame_of(PacketPtr packet) {
  Frame frame;
  frame.push(std::move(packet));
  return frame;
}

// The receiving end of a stage or a direction.
class Recorder final : public FrameSink, public PacketSink {
 public:
  struct Arrival {
    Instant when;
    uint32_t number;
    uint32_t size;
    uint32_t frame;  // Which frame brought it, counted from 0.
    bool operator==(const Arrival&) const = default;
  };

  explicit Recorder(Loop& loop) : loop_(loop) {}
  void accept(Frame&& frame) override {
    for (Packet* packet : frame.packets()) see(*packet);
    ++frames_;
  }
  void accept(PacketPtr packet) override {
    see(*packet);
    if (keep_) kept.push_back(std::move(packet));
  }
  void keep_packets() { keep_ = true; }

  std::vector<uint32_t> numbers() const {
    std::vector<uint32_t> list;
    for (const Arrival& a : arrivals) list.push_back(a.number);
    return list;
  }
  // Arrival times in nanoseconds after `start`.
  std::vector<int64_t> times(Instant start = VirtualLoop::kEpoch) const {
    std::vector<int64_t> list;
    for (const Arrival& a : arrivals) list.push_back((a.when - start).count());
    return list;
  }

  std::vector<Arrival> arrivals;
  std::vector<PacketPtr> kept;

 private:
  void see(const Packet& packet) {
    arrivals.push_back({loop_.now(), number_of(packet), packet.size(), frames_});
  }
  Loop& loop_;
  uint32_t frames_ = 0;
  bool keep_ = false;
};

}  // namespace wh::net
