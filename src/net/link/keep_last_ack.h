// A cable modem's upstream buffer: of a flow's acknowledgments that wait for the transmit grant,
// only the last is kept.
//
// "Pacing in the FreeBSD TCP Stack" (FreeBSD Journal, September 2024) describes it as one cause of
// bursts: the sender sees one acknowledgment for many segments. RFC 3449 section 5.2.1 calls it ACK
// filtering.
//
//   waiting:  A1  x  y      A2 comes      waiting:  A2  x  y      dropped (ack_replaced): A1
//
// The new acknowledgment takes the place of the old one in the queue, so it leaves no later than
// that would have, and never waits behind packets that came after it. Otherwise the queue is first
// in, first out, and drop-tail.
//
// A gives its place to B when all of this holds; then nothing is lost but the timing:
//   - both are pure: TCP, no fragments, no payload, ACK set and none of SYN, FIN, RST, PSH, URG;
//   - B is the next packet of A's flow to come after A, so none of its flow is overtaken;
//   - B acknowledges more than A. A duplicate, or an older one, is not replaced and replaces
//     nothing: loss recovery counts them. B's sequence number is A's;
//   - neither has options but timestamps alone (RFC 7323 appendix A), both or none: a SACK block is
//     news of a loss. B's timestamp is not before A's;
//   - their ECN flags (ECE, CWR, AE), traffic class and size are equal: a change is news too.
// The window may differ: B's is the newer.
//
// The modem knows up to kFlows flows at a time by a hash; two that fall together take turns, and
// are filtered less.
#pragma once

#include <optional>
#include <vector>

#include "net/link/glance.h"
#include "net/link/queue.h"
#include "net/seq.h"
#include "net/wire/tcp.h"

namespace wh::net {

// What must be equal or ordered in two acknowledgments.
struct PureAck {
  uint32_t size = 0;
  uint8_t traffic_class = 0;
  TcpFlags flags;
  SeqNum seq, ack;
  std::optional<TcpTimestamps> timestamps;

  bool gives_way_to(const PureAck& next) const;
};
// Nothing when the packet, seen as `glance`, is more than a pure acknowledgment.
std::optional<PureAck> pure_ack_of(const Packet& packet, const Glance& glance);

class KeepLastAck final : public Queue {
 public:
  static constexpr size_t kFlows = 1024;

  KeepLastAck(QueueLimit limit, LinkCounters& counters);
  ~KeepLastAck() override;

  void enqueue(PacketPtr packet) override;
  PacketPtr dequeue(Instant now) override;
  void set_limit(const QueueLimit& limit) override { limit_ = limit; }

 private:
  // The last packet seen of a flow, if it was an acknowledgment; it still waits while its place >=
  // head_.
  struct Last {
    FlowKey flow;
    PureAck ack;
    uint64_t place = 0;
    bool is_ack = false;
  };
  void push(Packet* packet);
  Packet*& at(uint64_t place) { return ring_[place & (ring_.size() - 1)]; }

  QueueLimit limit_;
  LinkCounters& counters_;
  // Places count from the first packet ever; those from head_ up to tail_ wait. The ring's size is
  // a power of two.
  std::vector<Packet*> ring_;  // Owned.
  uint64_t head_ = 0, tail_ = 0;
  std::vector<Last> flows_;
};

}  // namespace wh::net
