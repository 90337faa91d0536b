// ip4-full-reassembly and ip6-full-reassembly: fragments for this host become the packets they
// were.
#include "net/wire/describe.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "vnet/nodes.h"
#include "vnet/reassembly.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::Node;
using graph::Severity;
using net::Ip4Header;
using net::Ip4View;
using net::Ip6Extensions;
using net::Ip6Header;
using net::Ip6View;
using net::Packet;
using net::PacketPtr;

enum : uint16_t {
  kReassembled,
  kBadLength,
  kTooLong,
  kDuplicate,
  kOverlap,
  kInconsistent,
  kSpoiled,
  kTooMany,
  kNoRoom,
  kEvicted,
  kTimeout,
  kGone,
};

std::vector<graph::ErrorSpec> reassembly_error_specs() {
  return {{"reassembled", Severity::Info, "packets reassembled"},
          {"bad_length", Severity::Error, "fragment length not a multiple of 8"},
          {"too_long", Severity::Error, "fragment beyond the longest packet"},
          {"duplicate", Severity::Warning, "fragment duplicate"},
          {"overlap", Severity::Error, "fragment overlap"},
          {"inconsistent", Severity::Error, "fragment beyond the packet's end"},
          {"spoiled", Severity::Error, "fragment of a spoilt packet"},
          {"too_many", Severity::Error, "too many fragments of one packet"},
          {"no_room", Severity::Error, "fragment larger than the memory for them"},
          {"evicted", Severity::Error, "fragment pushed out by newer ones"},
          {"timeout", Severity::Error, "fragment timed out"},
          {"gone", Severity::Warning, "interface deleted while a fragment waited"}};
}

uint16_t error_of(FragmentOutcome outcome) {
  switch (outcome) {
    case FragmentOutcome::Duplicate: return kDuplicate;
    case FragmentOutcome::Overlap: return kOverlap;
    case FragmentOutcome::Inconsistent: return kInconsistent;
    case FragmentOutcome::Spoiled: return kSpoiled;
    case FragmentOutcome::TooLong: return kTooLong;
    case FragmentOutcome::TooMany: return kTooMany;
    case FragmentOutcome::NoRoom: return kNoRoom;
    case FragmentOutcome::Waiting:
    case FragmentOutcome::Complete: break;
  }
  UNREACHABLE();
}

// What both nodes share: the reassembler, its books, and putting the payload behind mended headers.
class ReassemblyNode : public Node, public PacketHolder {
 public:
  ReassemblyNode(Stack& stack, net::Family family)
      : Node({.name = family == net::Family::V4 ? "ip4-full-reassembly" : "ip6-full-reassembly",
              .next = {family == net::Family::V4 ? "ip4-local" : "ip6-local",
                       family == net::Family::V4 ? "ip4-icmp-error" : "ip6-icmp-error"},
              .errors = reassembly_error_specs()}),
        stack_(stack),
        family_(family),
        reassembler_(stack.loop, stack.random.fork(name()), actions()) {
    stack.holders.push_back(this);
  }

  void use_process(graph::NodeIndex walk) { walk_ = walk; }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }
  void drop_held(const std::function<bool(const Packet&)>& which) override {
    reassembler_.drop_held(which, drop(kGone));
  }

 protected:
  enum : Arc { kLocalArc = 1, kIcmpError };

  virtual Reassembler::Limits limits() const = 0;

  // Gives fragment i to the reassembler; what it completes is emitted after `mend` has mended its
  // headers.
  template <class Mend>
  void add(Batch& batch, uint32_t i, const Fragment& fragment, Mend mend) {
    PacketPtr packet = batch.take(i);
    Reassembled whole;
    const FragmentOutcome outcome = reassembler_.add(fragment, packet, whole);
    if (outcome == FragmentOutcome::Waiting) return;
    if (outcome != FragmentOutcome::Complete) {
      batch.emit_drop(std::move(packet), error_of(outcome));
      return;
    }
    Packet& p = *whole.first;
    p.truncate(whole.payload_at);  // The headers alone; they are contiguous.
    mend(p, whole);
    const uint32_t in_head = std::min(whole.size, p.tailroom());
    std::memcpy(p.append(in_head), whole.payload->bytes(), in_head);
    p.append(net::Slice{whole.payload, in_head, whole.size - in_head});
    p.l2_size = 0;
    p.checksum = whole.verified ? net::Checksum::Verified : net::Checksum::Unknown;
    p.ecn = whole.ecn;
    batch.count(kReassembled);
    batch.emit(std::move(whole.first), kLocalArc);
  }
  Stack& stack_;

 private:
  std::function<void(PacketPtr)> drop(uint16_t reason) {
    return [this, reason](PacketPtr p) { stack_.graph.drop(index(), reason, std::move(p)); };
  }
  Reassembler::Actions actions() {
    return {.limits = [this] { return limits(); },
            .spoiled = drop(kSpoiled),
            .evicted = drop(kEvicted),
            .expired = [this](PacketPtr p, bool first) { expired(std::move(p), first); },
            .settle =
                [this] {
                  stack_.graph.run_process(walk_, [] {});
                  stack_.graph.run();
                }};
  }
  // The sender is told once, by the fragment that has the headers it knows the packet by.
  void expired(PacketPtr p, bool first) {
    if (!first) {
      stack_.graph.drop(index(), kTimeout, std::move(p));
      return;
    }
    stack_.graph.blame(index(), kTimeout, *p);
    const bool v4 = family_ == net::Family::V4;
    note_icmp(*p, v4 ? IcmpNote{static_cast<uint8_t>(net::IcmpType::TimeExceeded),
                                net::kIcmpReassemblyTimeExceeded, 0}
                     : IcmpNote{static_cast<uint8_t>(net::Icmp6Type::TimeExceeded),
                                net::kIcmp6ReassemblyTimeExceeded, 0});
    stack_.graph.enqueue(v4 ? stack_.node.ip4_icmp_error : stack_.node.ip6_icmp_error,
                         std::move(p));
  }

  net::Family family_;
  graph::NodeIndex walk_ = 0;
  Reassembler reassembler_;
};

class Ip4Reassembly final : public ReassemblyNode {
 public:
  explicit Ip4Reassembly(Stack& stack) : ReassemblyNode(stack, net::Family::V4) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      const auto ip = Ip4View::parse_quoted(batch[i].head());
      const uint32_t begin = ip->fragment_offset(), size = ip->payload_size();
      if (size == 0 || (ip->more_fragments() && size % 8 != 0)) {
        batch.drop(i, kBadLength);
      } else if (begin + size + ip->header_size() > 0xffff) {
        batch.drop(i, kTooLong);
      } else {
        add(batch, i,
            {.key = {ip->source(), ip->destination(), stack_.vrf_of(batch[i]), ip->id(),
                     ip->protocol()},
             .begin = begin,
             .end = begin + size,
             .payload_at = ip->header_size(),
             .before = ip->header_size(),
             .is_last = !ip->more_fragments(),
             .ecn = ip->ecn()},
            mend);
      }
    }
  }

 private:
  static void mend(Packet& p, const Reassembled& whole) {
    Ip4Header header = Ip4View::parse_quoted(p.head())->header();
    // The sum fits: no whole is longer (FragmentOutcome::TooLong).
    header.total_length = static_cast<uint16_t>(header.size() + whole.size);
    header.more_fragments = false;
    header.fragment_offset = 0;
    header.tos = static_cast<uint8_t>((header.tos & ~3) | whole.ecn);
    header.emit(p.head());
    p.l4_offset = static_cast<uint16_t>(header.size());
  }
  Reassembler::Limits limits() const override {
    const Settings& s = stack_.settings;
    return {s.ip_maxfragpackets, s.ip_maxfragsperpacket, s.ip_maxfrags, s.ip_maxfragbytes,
            std::chrono::seconds(s.ip_fragttl)};
  }
};

class Ip6Reassembly final : public ReassemblyNode {
 public:
  explicit Ip6Reassembly(Stack& stack) : ReassemblyNode(stack, net::Family::V6) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const auto ip = Ip6View::parse_quoted(p.head());
      Ip6Extensions e;
      const auto fault = ip->extensions(e);
      CHECK(!fault && e.has_fragment());  // ip6-local found it so.
      // What comes before the fragment header is not fragmented; all behind it is.
      const uint32_t payload_at = e.fragment_at + net::Ip6FragmentHeader::kSize;
      const uint32_t begin = e.fragment.offset, size = ip->total_length() - payload_at;
      const uint32_t unfragmented = e.fragment_at - Ip6Header::kSize;
      // RFC 8200 section 4.5 says which errors the sender gets, and where they point.
      if (size == 0 || (e.fragment.more_fragments && size % 8 != 0)) {
        refuse(batch, i, kBadLength, 4);
      } else if (begin + size + unfragmented > 0xffff) {
        refuse(batch, i, kTooLong, e.fragment_at + 2);
      } else {
        add(batch, i,
            {.key = {ip->source(), ip->destination(), stack_.vrf_of(p), e.fragment.id, 0},
             .begin = begin,
             .end = begin + size,
             .payload_at = payload_at,
             .before = unfragmented,
             .is_last = !e.fragment.more_fragments,
             .ecn = ip->ecn()},
            mend);
      }
    }
  }

 private:
  void refuse(Batch& batch, uint32_t i, uint16_t error, uint32_t pointer) {
    batch.blame(i, error);
    note_icmp(batch[i], {static_cast<uint8_t>(net::Icmp6Type::ParameterProblem),
                         net::kIcmp6BadHeaderField, static_cast<uint16_t>(pointer)});
    batch.send(i, kIcmpError);
  }
  // The fragment header goes; the header before it names what the fragment header named.
  static void mend(Packet& p, const Reassembled& whole) {
    Ip6Extensions e;
    // What is behind the fragment header went with the payload, and the walk may miss it.
    (void)Ip6View::parse_quoted(p.head())->extensions(e);
    CHECK(e.has_fragment());
    p.data()[e.fragment_protocol_at] = e.fragment.next_header;
    p.truncate(e.fragment_at);
    net::store16(p.data() + 4,
                 static_cast<uint16_t>(e.fragment_at - Ip6Header::kSize + whole.size));
    net::set_ip6_ecn(p.head(), whole.ecn);
  }
  Reassembler::Limits limits() const override {
    const Settings& s = stack_.settings;
    return {s.ip6_maxfragpackets, s.ip6_maxfragsperpacket, s.ip6_maxfrags, s.ip6_maxfragbytes,
            std::chrono::milliseconds(s.ip6_fraglifetime_ms)};
  }
};

}  // namespace

void add_reassembly_nodes(Stack& stack) {
  auto ip4 = std::make_unique<Ip4Reassembly>(stack);
  auto ip6 = std::make_unique<Ip6Reassembly>(stack);
  ip4->use_process(stack.graph.add_process("ip4-full-reassembly-expire-walk"));
  ip6->use_process(stack.graph.add_process("ip6-full-reassembly-expire-walk"));
  stack.node.ip4_reassembly = stack.graph.add(std::move(ip4)).index();
  stack.node.ip6_reassembly = stack.graph.add(std::move(ip6)).index();
}

}  // namespace wh::vnet
