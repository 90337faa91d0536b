// What a link's direction counts. Every packet that was accepted, or made by duplication, ends as
// delivered or as dropped for one of the reasons named here; until then it is held by a stage,
// which can say so.
//
//   accepted + duplicated = delivered + dropped + held        (packets, and bytes)
//
// The stages of one direction write into one LinkCounters; reports and charts read it.
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
  // Copies field by field: as one vector, the load would wait for the stores of what was counted a
  // moment ago.
  void set(const Tally& o) {
    packets = o.packets;
    bytes = o.bytes;
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
};

}  // namespace wh::net
