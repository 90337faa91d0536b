// ip4-frag and ip6-frag: packets too long for their link, cut (RFC 791 section 3.2, RFC 8200
// section 4.5).
//
// IPv4 packets may be cut by any router that is not told otherwise; IPv6 packets only by the host
// that made them. Payload is referred to by the pieces, not copied. The pieces go to the rewrite
// node as this host's own, so that nothing that was done to the whole is done again. A packet that
// stands for many segments is cut into these first, for each is a packet on the wire.
#include "net/checksum.h"
#include "net/wire/describe.h"
#include "vnet/nodes.h"
#include "vnet/segments.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::Node;
using graph::Severity;
using net::Ip4Header;
using net::Ip4View;
using net::Ip6FragmentHeader;
using net::Ip6Header;
using net::Ip6View;
using net::Packet;
using net::PacketPtr;

enum : uint16_t { kSent, kTooSmall, kNoBuffers, kBadPartial, kTooLong };
constexpr Arc kRewrite = 1;
constexpr uint32_t kLongestDatagram = 65535;  // With its header (RFC 791 section 3.1).

std::vector<graph::ErrorSpec> fragment_error_specs() {
  return {{"fragments", Severity::Info, "fragments sent"},
          {"mtu_too_small", Severity::Error, "mtu too small to fragment"},
          {"no_buffers", Severity::Error, "no buffers for fragments"},
          {"bad_partial", Severity::Error, "no place for the checksum"},
          {"too_long", Severity::Error, "fragment beyond the longest datagram"}};
}

// What a piece inherits of the whole.
void inherit(Packet& piece, const Packet& whole, uint16_t l4_offset) {
  piece.trace = whole.trace;
  piece.ecn = whole.ecn;
  piece.adjacency = whole.adjacency;
  piece.checksum = net::Checksum::Verified;
  piece.interface = kLocalInterface;
  piece.rx_interface = whole.rx_interface;
  piece.table = whole.table;
  piece.l4_offset = l4_offset;
}

// The options that every fragment carries: those with the copied flag (RFC 791 section 3.1).
void keep_copied_options(Ip4Header& header) {
  constexpr uint8_t kEnd = 0, kNop = 1, kCopied = 0x80;
  std::array<uint8_t, 40> kept{};
  uint8_t size = 0;
  for (uint32_t i = 0; i < header.options_size && header.options[i] != kEnd;) {
    const uint8_t type = header.options[i];
    const uint8_t length = type == kNop ? uint8_t{1} : header.options[i + 1];
    if ((type & kCopied) != 0) {
      std::memcpy(kept.data() + size, header.options.data() + i, length);
      size = static_cast<uint8_t>(size + length);
    }
    i += length;
  }
  header.options = kept;
  header.options_size = static_cast<uint8_t>((size + 3) / 4 * 4);
}

class Ip4Frag final : public Node {
 public:
  explicit Ip4Frag(Stack& stack)
      : Node({.name = "ip4-frag", .next = {"ip4-rewrite"}, .errors = fragment_error_specs()}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      PacketPtr whole = batch.take(i);
      const uint16_t outcome =
          whole->gso_size != 0 ? cut_segments(batch, *whole) : cut_whole(batch, *whole);
      if (outcome != kSent) batch.emit_drop(std::move(whole), outcome);
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  uint16_t cut_segments(Batch& batch, Packet& many) {
    auto segments = Segments::of(many, 0);
    if (!segments || segments->count() > Segments::kMost) return kBadPartial;
    do {
      const PacketPtr whole = segments->next(stack_.pool);
      if (whole == nullptr) return kNoBuffers;
      if (const uint16_t outcome = cut_whole(batch, *whole); outcome != kSent) return outcome;
    } while (!segments->is_done());
    return kSent;
  }
  uint16_t cut_whole(Batch& batch, Packet& whole) {
    return try_complete_checksum(whole, 0) ? cut(batch, whole) : uint16_t{kBadPartial};
  }
  uint16_t cut(Batch& batch, const Packet& whole) {
    const auto ip = Ip4View::parse_quoted(whole.head());  // ip4-input or its maker vouches for it.
    const uint32_t mtu = stack_.adjacencies[whole.adjacency].mtu;
    const uint32_t begin = ip->header_size(), end = ip->total_length();
    Ip4Header header = ip->header();
    const uint32_t first_offset = header.fragment_offset;
    const bool more_follow = header.more_fragments;
    // A fragment itself, and its end past what a datagram can have: no offset says where.
    if (first_offset + end > kLongestDatagram) return kTooLong;
    for (uint32_t at = begin; at < end;) {
      if (mtu < header.size() + 8) return kTooSmall;
      const uint32_t room = (mtu - header.size()) & ~7u;
      const uint32_t size = std::min(room, end - at);
      PacketPtr piece = stack_.pool.allocate();
      if (piece == nullptr) return kNoBuffers;
      inherit(*piece, whole, static_cast<uint16_t>(header.size()));
      header.total_length = static_cast<uint16_t>(header.size() + size);
      header.fragment_offset = static_cast<uint16_t>(first_offset + (at - begin));
      header.more_fragments = more_follow || at + size < end;
      header.emit({piece->append(header.size()), header.size()});
      append_range(*piece, whole, at, size);
      batch.emit(std::move(piece), kRewrite);
      batch.count(kSent);
      if (at == begin) keep_copied_options(header);
      at += size;
    }
    return kSent;
  }
  Stack& stack_;
};

class Ip6Frag final : public Node {
 public:
  explicit Ip6Frag(Stack& stack)
      : Node({.name = "ip6-frag", .next = {"ip6-rewrite"}, .errors = fragment_error_specs()}),
        stack_(stack),
        next_id_(static_cast<uint32_t>(stack.random.next())) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      if (!try_complete_checksum(batch[i], 0)) {
        batch.drop(i, kBadPartial);
        continue;
      }
      PacketPtr whole = batch.take(i);
      const uint16_t outcome = cut(batch, *whole);
      if (outcome != kSent) batch.emit_drop(std::move(whole), outcome);
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  static constexpr uint32_t kHeaders = Ip6Header::kSize + Ip6FragmentHeader::kSize;

  // Packets of this host have no extension headers of their own: all after the IP header is
  // fragmentable.
  uint16_t cut(Batch& batch, const Packet& whole) {
    const auto ip = Ip6View::parse_quoted(whole.head());
    const uint32_t mtu = stack_.adjacencies[whole.adjacency].mtu;
    if (mtu < kHeaders + 8) return kTooSmall;
    const uint32_t room = (mtu - kHeaders) & ~7u;
    const uint32_t begin = Ip6Header::kSize, end = whole.size();
    const uint32_t id = ++next_id_;
    Ip6Header header = ip->header();
    const uint8_t protocol = header.next_header;
    header.next_header = net::kIp6Fragment;
    for (uint32_t at = begin; at < end;) {
      const uint32_t size = std::min(room, end - at);
      PacketPtr piece = stack_.pool.allocate();
      if (piece == nullptr) return kNoBuffers;
      inherit(*piece, whole, kHeaders);
      header.payload_length = static_cast<uint16_t>(Ip6FragmentHeader::kSize + size);
      header.emit({piece->append(Ip6Header::kSize), Ip6Header::kSize});
      Ip6FragmentHeader{.next_header = protocol,
                        .offset = static_cast<uint16_t>(at - begin),
                        .more_fragments = at + size < end,
                        .id = id}
          .emit({piece->append(Ip6FragmentHeader::kSize), Ip6FragmentHeader::kSize});
      append_range(*piece, whole, at, size);
      batch.emit(std::move(piece), kRewrite);
      batch.count(kSent);
      at += size;
    }
    return kSent;
  }
  Stack& stack_;
  uint32_t next_id_;
};

}  // namespace

void add_fragment_nodes(Stack& stack) {
  stack.graph.add(std::make_unique<Ip4Frag>(stack));
  stack.graph.add(std::make_unique<Ip6Frag>(stack));
}

}  // namespace wh::vnet
