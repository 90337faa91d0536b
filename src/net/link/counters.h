// What a link's direction counts. Every packet that was accepted, or made by duplication, ends as
// delivered or as dropped for one of the reasons named here; until then it is held by a stage,
// which can say so.
//
//   accepted + duplicated = delivered + dropped + held        (packets, and bytes)
//
// The stages of one direction write into one LinkCounters; reports and charts read it.
// for_each_counter() goes through all by name, which is how tests hold two runs against each other.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/histogram.h"
#include "net/frame.h"

namespace wh::net {

enum class DropReason : uint8_t {
  Loss,            // The chance of `loss`.
  GilbertElliott,  // The chance of `ge`.
  QueueFull,       // The buffer's limit.
  Codel,           // CoDel's control law, alone or in FQ-CoDel.
  AckReplaced,     // A waiting acknowledgment gave its place to the next (ack=keep_last).
  WireFull,        // More packets under way than a delay line holds.
};
constexpr size_t kDropReasons = 6;
std::string_view to_string(DropReason reason);

// Packets, and the bytes of their Ethernet frames.
struct Tally {
  uint64_t packets = 0, bytes = 0;

  void add(uint32_t size) {
    ++packets;
    bytes += size;
  }
  void subtract(uint32_t size) {
    --packets;
    bytes -= size;
  }
  Tally operator+(const Tally& o) const { return {packets + o.packets, bytes + o.bytes}; }
  bool operator==(const Tally&) const = default;
};

struct LinkCounters {
  Tally accepted;     // Came in from the sending interface.
  Tally delivered;    // Went out to the receiving one.
  Tally duplicated;   // Copies made.
  Tally transmitted;  // Given to the wire: their transmission has begun.
  Tally backlog;      // Waiting in the queue now; without the packet on the transmitter.
  Tally peak;         // The most that ever waited: packets and bytes, each by itself.
  std::array<Tally, kDropReasons> dropped;
  uint64_t corrupted = 0;         // Packets in which a bit was flipped.
  uint64_t marked = 0;            // Packets marked Congestion Experienced instead of dropped.
  uint64_t reordered = 0;         // Packets held back so that others pass them.
  uint64_t duplicate_failed = 0;  // No packet was free for a copy.
  uint64_t reorder_failed = 0;    // Too many were held back already; the packet kept its place.
  uint64_t busy_ns = 0;           // Time during which the transmitter was sending.
  Histogram queue_ns;  // Time from arrival in the queue to the start of transmission, ns.

  void drop(DropReason reason, const Packet& packet) {
    dropped[static_cast<size_t>(reason)].add(packet.size());
  }
  const Tally& dropped_for(DropReason reason) const { return dropped[static_cast<size_t>(reason)]; }
  Tally all_dropped() const;

  // Calls fn(name, const uint64_t& value, description, unit) for each counter, always in the same
  // order. The values stay where they are, so a tree may keep their addresses. A drop's name is
  // `dropped.<reason>`.
  template <class Fn>
  void for_each_counter(Fn fn) const;
};

template <class Fn>
void LinkCounters::for_each_counter(Fn fn) const {
  const auto tally = [&fn](std::string_view name, const Tally& t, std::string_view what) {
    fn(std::string(name) + ".packets", t.packets, what, "packets");
    fn(std::string(name) + ".bytes", t.bytes, what, "bytes");
  };
  tally("accepted", accepted, "taken from the sending interface");
  tally("delivered", delivered, "handed to the receiving interface");
  tally("duplicated", duplicated, "copies made");
  tally("transmitted", transmitted, "whose transmission has begun");
  tally("backlog", backlog, "waiting in the queue now");
  tally("peak", peak, "most that ever waited in the queue");
  for (size_t i = 0; i < kDropReasons; ++i) {
    const std::string_view reason = to_string(static_cast<DropReason>(i));
    fn("dropped." + std::string(reason), dropped[i].packets, "packets dropped", "packets");
  }
  fn(std::string("corrupted"), corrupted, "packets with a flipped bit", "packets");
  fn(std::string("marked"), marked, "packets marked Congestion Experienced", "packets");
  fn(std::string("reordered"), reordered, "packets held back", "packets");
  fn(std::string("duplicate_failed"), duplicate_failed, "copies not made for want of a packet",
     "packets");
  fn(std::string("reorder_failed"), reorder_failed, "packets not held back: too many were",
     "packets");
  fn(std::string("busy_ns"), busy_ns, "time the transmitter was sending", "ns");
}

}  // namespace wh::net
