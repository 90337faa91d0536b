// gso: TCP segments made in software, for interfaces that do not make them (max_gso 0).
//
// A packet with gso_size stands for many segments that differ only in a few header fields. They are
// cut here, last of all, so that every node before worked once on what is many packets on the wire.
// Payload is referred to.
#include "net/checksum.h"
#include "net/wire/describe.h"
#include "net/wire/tcp.h"
#include "vnet/nodes.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::Node;
using graph::Severity;
using net::Packet;
using net::PacketPtr;
using net::TcpHeader;

class Gso final : public Node {
 public:
  explicit Gso(Stack& stack)
      : Node({.name = "gso",
              .next = {"interface-output"},
              .errors = {{"segments", Severity::Info, "segments made"},
                         {"not_tcp", Severity::Error, "not a TCP segment that can be cut"},
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
  enum : uint16_t { kSegments, kNotTcp, kTooMany, kNoBuffers };
  static constexpr uint32_t kMaxSegments = 1024;
  static constexpr uint8_t kFin = 0x01, kPsh = 0x08, kCwr = 0x80;

  uint16_t cut(Batch& batch, Packet& whole) {
    const uint32_t ip_at = whole.l3_offset;
    const auto place = find_offloaded(whole, ip_at);
    if (!place || place->protocol != net::kProtocolTcp) return kNotTcp;
    const uint32_t tcp_size = whole.data()[place->offset + 12] / 16 * 4u;
    const uint32_t headers = place->offset + tcp_size;
    if (tcp_size < TcpHeader::kMinSize || headers > place->end || !whole.pullup(headers)) {
      return kNotTcp;
    }
    const uint32_t step = whole.gso_size;
    if ((place->end - headers) / step >= kMaxSegments) return kTooMany;
    uint32_t index = 0;
    uint32_t at = headers;
    do {
      const uint32_t size = std::min(step, place->end - at);
      PacketPtr segment = stack_.pool.allocate();
      if (segment == nullptr) return kNoBuffers;
      std::memcpy(segment->append(headers), whole.data(), headers);
      const bool is_last = at + size == place->end;
      mend_ip(segment->data() + ip_at, index, headers - ip_at + size);
      mend_tcp(*segment, ip_at, place->offset, at - headers, tcp_size + size, index == 0, is_last);
      append_range(*segment, whole, at, size);
      segment->trace = whole.trace;
      segment->interface = whole.interface;
      segment->l3_offset = whole.l3_offset;
      segment->l4_offset = static_cast<uint16_t>(place->offset);
      batch.emit(std::move(segment), kOutput);
      batch.count(kSegments);
      at += size;
      ++index;
    } while (at < place->end);
    return kSegments;
  }

  // Length, and in IPv4 an identification of its own.
  static void mend_ip(uint8_t* ip, uint32_t index, uint32_t total) {
    if (ip[0] >> 4 == 6) {
      net::store16(ip + 4, static_cast<uint16_t>(total - net::Ip6Header::kSize));
      return;
    }
    net::store16(ip + 2, static_cast<uint16_t>(total));
    net::store16(ip + 4, static_cast<uint16_t>(net::load16(ip + 4) + index));
    net::store16(ip + 10, 0);
    net::store16(ip + 10, net::header_checksum({ip, (ip[0] & 15u) * 4}));
  }

  // Sequence number and flags: FIN and PSH belong to the last, CWR to the first (RFC 3168
  // section 6.1.2).
  static void mend_tcp(Packet& segment, uint32_t ip_at, uint32_t tcp_at, uint32_t offset,
                       uint32_t length, bool is_first, bool is_last) {
    uint8_t* tcp = segment.data() + tcp_at;
    net::store32(tcp + 4, net::load32(tcp + 4) + offset);
    if (!is_last) tcp[13] = static_cast<uint8_t>(tcp[13] & ~(kFin | kPsh));
    if (!is_first) tcp[13] = static_cast<uint8_t>(tcp[13] & ~kCwr);
    const uint8_t* ip = segment.data() + ip_at;
    net::InternetSum sum;
    const bool v4 = ip[0] >> 4 == 4;
    sum.add(v4 ? std::span(ip + 12, 8) : std::span(ip + 8, 32));
    sum.add16(net::kProtocolTcp);
    sum.add32(length);
    net::store16(tcp + 16, sum.folded());
    segment.checksum =
        net::Checksum::Needed;  // NAME-output completes it if the device does not.
  }
  Stack& stack_;
};

}  // namespace

void add_gso_node(Stack& stack) {
  stack.graph.add(std::make_unique<Gso>(stack));
}

}  // namespace wh::vnet
