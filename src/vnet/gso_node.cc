// gso: segments made in software, for interfaces that do not make them (max_gso 0).
//
// A packet with gso_size stands for many that differ only in a few header fields: TCP's segments,
// or the datagrams that a sender of UDP gave its kernel at once (UDP_SEGMENT). They are cut here,
// last of all, so that every node before worked once on what is many packets on the wire.
#include "net/wire/describe.h"
#include "vnet/nodes.h"
#include "vnet/segments.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::Node;
using graph::Severity;
using net::Packet;
using net::PacketPtr;

class Gso final : public Node {
 public:
  explicit Gso(Stack& stack)
      : Node({.name = "gso",
              .next = {"interface-output"},
              .errors = {{"segments", Severity::Info, "segments made"},
                         {"not_segments", Severity::Error, "nothing that can be cut into segments"},
                         {"too_many", Severity::Error, "too many segments of one packet"},
                         {"no_buffers", Severity::Error, "no buffers for segments"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      PacketPtr whole = batch.take(i);
      const uint16_t outcome = cut(batch, *whole);
      if (outcome != kSegments) batch.emit_drop(std::move(whole), outcome);
    }
  }
  std::string account(const Packet& p) const override {
    return fmt::format("gso_size {}\n{}", p.gso_size, net::describe_ethernet(p));
  }

 private:
  enum : Arc { kOutput = 1 };
  enum : uint16_t { kSegments, kNotSegments, kTooMany, kNoBuffers };

  uint16_t cut(Batch& batch, Packet& whole) {
    auto segments = Segments::of(whole, whole.l3_offset);
    if (!segments) return kNotSegments;
    if (segments->count() > Segments::kMost) return kTooMany;
    do {
      PacketPtr segment = segments->next(stack_.pool);
      if (segment == nullptr) return kNoBuffers;
      batch.emit(std::move(segment), kOutput);
      batch.count(kSegments);
    } while (!segments->is_done());
    return kSegments;
  }
  Stack& stack_;
};

}  // namespace

void add_gso_node(Stack& stack) {
  stack.graph.add(std::make_unique<Gso>(stack));
}

}  // namespace wh::vnet
