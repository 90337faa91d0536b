// ip6-icmp-input and ip6-icmp-echo-request (RFC 4443).
#include "net/checksum.h"
#include "net/wire/describe.h"
#include "net/wire/icmp6.h"
#include "vnet/nodes.h"
#include "vnet/ping.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::ErrorSpec;
using graph::Node;
using graph::Severity;
using net::Icmp6Type;
using net::Icmp6View;
using net::Ip6;
using net::Ip6Extensions;
using net::Ip6Header;
using net::Ip6View;
using net::IpError;
using net::Packet;

IpError::Kind kind_of(const Icmp6View& icmp) {
  switch (icmp.type()) {
    case Icmp6Type::PacketTooBig: return IpError::Kind::PacketTooBig;
    case Icmp6Type::TimeExceeded:
      return icmp.code() == 0 ? IpError::Kind::TimeExceeded : IpError::Kind::ReassemblyTimeExceeded;
    case Icmp6Type::ParameterProblem:
      return icmp.code() == net::kIcmp6UnknownNextHeader ? IpError::Kind::ProtocolUnreachable
                                                         : IpError::Kind::ParameterProblem;
    default: break;
  }
  switch (icmp.code()) {
    case net::kIcmp6AdminProhibited: return IpError::Kind::AdminProhibited;
    case net::kIcmp6AddressUnreachable: return IpError::Kind::HostUnreachable;
    case net::kIcmp6PortUnreachable: return IpError::Kind::PortUnreachable;
    default: return IpError::Kind::NetUnreachable;
  }
}

class Icmp6Input final : public Node {
 public:
  explicit Icmp6Input(Stack& stack)
      : Node({.name = "ip6-icmp-input",
              .next = {"ip6-icmp-echo-request", "icmp6-neighbor-solicitation",
                       "icmp6-neighbor-advertisement", "icmp6-router-solicitation"},
              .errors =
                  errors_of(net::kIcmp6FaultNames) +
                  std::vector<ErrorSpec>{
                      {"bad_checksum", Severity::Error, "icmp6 bad checksum"},
                      {"unknown_type", Severity::Error, "unknown type"},
                      {"nobody", Severity::Error, "echo reply nobody waits for"},
                      {"not_ours", Severity::Error, "error about a packet not ours"},
                      {"no_listener", Severity::Error, "error for a protocol without listener"},
                      {"replies", Severity::Info, "echo replies received"},
                      {"errors", Severity::Info, "errors received"},
                      {"router_messages", Severity::Info,
                       "router advertisements not for a router"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      pullup_most(p, p.l4_offset + kContiguous);
      if (!net::verify_transport(p, net::kProtocolIcmp6)) {
        batch.drop(i, kBadChecksum);
        continue;
      }
      const auto icmp = Icmp6View::parse(p.head().subspan(p.l4_offset));
      if (!icmp) {
        batch.drop(i, static_cast<uint16_t>(icmp.fault()));
        continue;
      }
      switch (icmp->type()) {
        case Icmp6Type::Echo: batch.send(i, kEcho); break;
        case Icmp6Type::EchoReply: take_reply(batch, i, *icmp); break;
        // Of a message made here there is nothing to learn.
        case Icmp6Type::NeighbourSolicitation:
          p.interface != kLocalInterface ? batch.send(i, kSolicitation)
                                         : batch.drop(i, kUnknownType);
          break;
        case Icmp6Type::NeighbourAdvertisement:
          p.interface != kLocalInterface ? batch.send(i, kAdvertisement)
                                         : batch.drop(i, kUnknownType);
          break;
        case Icmp6Type::RouterSolicitation:
          p.interface != kLocalInterface ? batch.send(i, kRouter) : batch.drop(i, kUnknownType);
          break;
        case Icmp6Type::RouterAdvertisement: batch.drop(i, kRouterMessages); break;
        case Icmp6Type::Unreachable:
        case Icmp6Type::PacketTooBig:
        case Icmp6Type::TimeExceeded:
        case Icmp6Type::ParameterProblem: take_error(batch, i, *icmp); break;
        default: batch.drop(i, kUnknownType);
      }
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : Arc { kEcho = 1, kSolicitation, kAdvertisement, kRouter };
  enum : uint16_t {
    kBadChecksum = net::kIcmp6FaultNames.size(),
    kUnknownType,
    kNobody,
    kNotOurs,
    kNoListener,
    kReplies,
    kErrors,
    kRouterMessages,
  };
  // An ICMPv6 header, the quoted IPv6 header, a TCP header, and room for extension headers.
  static constexpr uint32_t kContiguous = 8 + 40 + 20 + 48;

  void take_reply(Batch& batch, uint32_t i, const Icmp6View& icmp) {
    const Packet& p = batch[i];
    const PingTable::Reply reply{.id = icmp.echo_id(),
                                 .sequence = icmp.echo_sequence(),
                                 .from = Ip6View::parse_quoted(p.head())->source(),
                                 .bytes = p.size() - p.l4_offset,
                                 .ttl = p.data()[7],
                                 .arrival = stack_.loop.now()};
    if (!stack_.pings->reply(reply)) {
      batch.drop(i, kNobody);
      return;
    }
    batch.count(kReplies);
    batch.take(i);
  }

  void take_error(Batch& batch, uint32_t i, const Icmp6View& icmp) {
    const Ip6View quoted = icmp.quoted();
    const uint16_t vrf = stack_.vrf_of(batch[i]);
    if (!stack_.is_local(quoted.source(), vrf)) {
      batch.drop(i, kNotOurs);
      return;
    }
    Ip6Extensions extensions;
    const std::span<const uint8_t> quote = icmp.payload();
    if (quoted.extensions(extensions) || extensions.offset + 8 > quote.size() ||
        (extensions.has_fragment() && extensions.fragment.offset != 0)) {
      batch.drop(i, kNoListener);  // Nothing of a transport header to find its sender by.
      return;
    }
    const IpError::Kind kind = kind_of(icmp);
    const IpError error{.kind = kind,
                        .mtu = kind == IpError::Kind::PacketTooBig ? icmp.mtu() : 0u,
                        .source = quoted.source(),
                        .destination = quoted.destination(),
                        .transport = quote.subspan(extensions.offset),
                        .table = vrf};
    if (!stack_.deliver_error(error, extensions.protocol)) {
      batch.drop(i, kNoListener);
      return;
    }
    batch.count(kErrors);
    batch.take(i);
  }
  Stack& stack_;
};

// Turns a request into its reply, in place.
class Icmp6Echo final : public Node {
 public:
  explicit Icmp6Echo(Stack& stack)
      : Node({.name = "ip6-icmp-echo-request",
              .next = {"ip6-lookup"},
              .errors = {{"replies", Severity::Info, "echo replies sent"},
                         {"no_source", Severity::Error, "no address to reply from"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const auto ip = Ip6View::parse_quoted(p.head());
      const Ip6 requester = ip->source(), asked = ip->destination();
      const uint8_t traffic_class = ip->traffic_class();
      Ip6 own = asked;
      if (p.adjacency == kLocalMulticast) {
        const net::IpAddress* source = stack_.interfaces[p.interface].source_for(requester);
        if (source == nullptr) {
          batch.drop(i, kNoSource);
          continue;
        }
        own = source->v6();
      }
      p.pull(p.l4_offset);
      mend_checksum(p.data(), asked, own);
      const uint32_t length = p.size();
      Ip6Header{.source = own,
                .destination = requester,
                .next_header = net::kProtocolIcmp6,
                .hop_limit = static_cast<uint8_t>(stack_.settings.ip6_hlim),
                .traffic_class = traffic_class,
                .payload_length = static_cast<uint16_t>(length)}
          .emit({p.push(Ip6Header::kSize), Ip6Header::kSize});
      p.l2_size = 0;
      p.l4_offset = Ip6Header::kSize;
      p.interface = kLocalInterface;
      batch.count(kReplies);
      batch.send(i, kLookup);
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : Arc { kLookup = 1 };
  enum : uint16_t { kReplies, kNoSource };

  // The type changes, and with a multicast request the address; swapping the two others changes no
  // sum.
  static void mend_checksum(uint8_t* icmp, const Ip6& asked, const Ip6& own) {
    uint16_t checksum = net::load16(icmp + 2);
    const uint16_t old_word = net::load16(icmp);
    icmp[0] = static_cast<uint8_t>(Icmp6Type::EchoReply);
    checksum = net::update_checksum(checksum, old_word, net::load16(icmp));
    for (size_t i = 0; i < 16; i += 2) {
      checksum = net::update_checksum(checksum, net::load16(asked.bytes.data() + i),
                                      net::load16(own.bytes.data() + i));
    }
    net::store16(icmp + 2, checksum);
  }
  Stack& stack_;
};

}  // namespace

void add_icmp6_nodes(Stack& stack) {
  stack.node.ip6_icmp_input = stack.graph.add(std::make_unique<Icmp6Input>(stack)).index();
  stack.graph.add(std::make_unique<Icmp6Echo>(stack));
}

}  // namespace wh::vnet
