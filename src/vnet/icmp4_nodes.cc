// ip4-icmp-input and ip4-icmp-echo-request (RFC 792).
#include "net/checksum.h"
#include "net/wire/describe.h"
#include "net/wire/icmp.h"
#include "vnet/nodes.h"
#include "vnet/ping.h"
#include "vnet/udp.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::ErrorSpec;
using graph::Node;
using graph::Severity;
using net::IcmpType;
using net::IcmpView;
using net::Ip4Header;
using net::Ip4View;
using net::IpError;
using net::Packet;

// What a protocol is told of an ICMP error; nothing for those that say nothing of the way
// (redirects).
std::optional<IpError::Kind> kind_of(const IcmpView& icmp) {
  switch (icmp.type()) {
    case IcmpType::TimeExceeded:
      return icmp.code() == 0 ? IpError::Kind::TimeExceeded : IpError::Kind::ReassemblyTimeExceeded;
    case IcmpType::ParameterProblem: return IpError::Kind::ParameterProblem;
    case IcmpType::Unreachable:
      switch (icmp.code()) {
        case net::kIcmpHostUnreachable: return IpError::Kind::HostUnreachable;
        case net::kIcmpProtocolUnreachable: return IpError::Kind::ProtocolUnreachable;
        case net::kIcmpPortUnreachable: return IpError::Kind::PortUnreachable;
        case net::kIcmpFragmentationNeeded: return IpError::Kind::PacketTooBig;
        case net::kIcmpNetProhibited:
        case net::kIcmpHostProhibited:
        case net::kIcmpAdminProhibited: return IpError::Kind::AdminProhibited;
        default: return IpError::Kind::NetUnreachable;
      }
    default: return std::nullopt;
  }
}

class Icmp4Input final : public Node {
 public:
  explicit Icmp4Input(Stack& stack)
      : Node({.name = "ip4-icmp-input",
              .next = {"ip4-icmp-echo-request"},
              .errors =
                  errors_of(net::kIcmpFaultNames) +
                  std::vector<ErrorSpec>{
                      {"bad_checksum", Severity::Error, "icmp bad checksum"},
                      {"unknown_type", Severity::Error, "unknown type"},
                      {"nobody", Severity::Error, "echo reply nobody waits for"},
                      {"not_ours", Severity::Error, "error about a packet not ours"},
                      {"no_listener", Severity::Error, "error for a protocol without listener"},
                      {"replies", Severity::Info, "echo replies received"},
                      {"errors", Severity::Info, "errors received"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      pullup_most(p, p.l4_offset + kContiguous);
      if (!net::verify_transport(p, net::kProtocolIcmp)) {
        batch.drop(i, kBadChecksum);
        continue;
      }
      const auto icmp = IcmpView::parse(p.head().subspan(p.l4_offset));
      if (!icmp) {
        batch.drop(i, static_cast<uint16_t>(icmp.fault()));
      } else if (icmp->type() == IcmpType::Echo) {
        batch.send(i, kEcho);
      } else if (icmp->type() == IcmpType::EchoReply) {
        take_reply(batch, i, *icmp);
      } else if (const auto kind = kind_of(*icmp)) {
        take_error(batch, i, *icmp, *kind);
      } else {
        batch.drop(i, kUnknownType);
      }
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : Arc { kEcho = 1 };
  enum : uint16_t {
    kBadChecksum = net::kIcmpFaultNames.size(),
    kUnknownType,
    kNobody,
    kNotOurs,
    kNoListener,
    kReplies,
    kErrors,
  };
  // An ICMP header, the quoted IP header with options, and a TCP header.
  static constexpr uint32_t kContiguous = 8 + 60 + 20;

  void take_reply(Batch& batch, uint32_t i, const IcmpView& icmp) {
    const Packet& p = batch[i];
    const net::Ip4 source{net::load32(p.data() + 12)};
    const PingTable::Reply reply{.id = icmp.echo_id(),
                                 .sequence = icmp.echo_sequence(),
                                 .from = source,
                                 .bytes = p.size() - p.l4_offset,
                                 .ttl = p.data()[8],
                                 .arrival = stack_.loop.now()};
    if (!stack_.pings->reply(reply)) {
      batch.drop(i, kNobody);
      return;
    }
    batch.count(kReplies);
    batch.take(i);
  }

  void take_error(Batch& batch, uint32_t i, const IcmpView& icmp, IpError::Kind kind) {
    const Ip4View quoted = icmp.quoted();
    // An error about a packet that this host cannot have sent is forged or astray.
    const uint16_t vrf = stack_.vrf_of(batch[i]);
    if (!stack_.is_local(quoted.source(), vrf)) {
      batch.drop(i, kNotOurs);
      return;
    }
    const IpError error{
        .kind = kind,
        .mtu = kind == IpError::Kind::PacketTooBig ? uint32_t{icmp.next_hop_mtu()} : 0u,
        .source = quoted.source(),
        .destination = quoted.destination(),
        .transport = icmp.quoted_transport(),
        .table = vrf};
    if (!stack_.deliver_error(error, quoted.protocol())) {
      batch.drop(i, kNoListener);
      return;
    }
    batch.count(kErrors);
    batch.take(i);
  }
  Stack& stack_;
};

// Turns a request into its reply, in place: only what differs is changed, and the payload is not
// touched.
class Icmp4Echo final : public Node {
 public:
  explicit Icmp4Echo(Stack& stack)
      : Node({.name = "ip4-icmp-echo-request",
              .next = {"ip4-lookup"},
              .errors = {{"replies", Severity::Info, "echo replies sent"},
                         {"broadcast", Severity::Error, "echo request to a broadcast address"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const net::Ip4 requester{net::load32(p.data() + 12)};
      net::Ip4 own{net::load32(p.data() + 16)};
      if (p.adjacency == kLocalMulticast) {
        const net::IpAddress* source = stack_.interfaces[p.interface].source_for(requester);
        if (stack_.settings.icmp_bmcastecho == 0 || source == nullptr) {
          batch.drop(i, kBroadcast);
          continue;
        }
        own = source->v4();
      }
      // The reply's header is new: options of the request are not the requester's to impose.
      const uint8_t tos = p.data()[1];
      p.pull(p.l4_offset);
      uint8_t* icmp = p.data();
      const uint16_t checksum = net::load16(icmp + 2);
      net::store16(icmp + 2, net::update_checksum(checksum, net::load16(icmp),
                                                  static_cast<uint16_t>(net::load16(icmp) & 0xff)));
      icmp[0] = static_cast<uint8_t>(IcmpType::EchoReply);
      const uint32_t size = p.size() + Ip4Header::kMinSize;
      Ip4Header{.source = own,
                .destination = requester,
                .protocol = net::kProtocolIcmp,
                .ttl = static_cast<uint8_t>(stack_.settings.ip_ttl),
                .tos = tos,
                .total_length = static_cast<uint16_t>(size),
                .id = stack_.new_ip_id()}
          .emit({p.push(Ip4Header::kMinSize), Ip4Header::kMinSize});
      p.l2_size = 0;
      p.l4_offset = Ip4Header::kMinSize;
      p.interface = kLocalInterface;
      batch.count(kReplies);
      batch.send(i, kLookup);
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : Arc { kLookup = 1 };
  enum : uint16_t { kReplies, kBroadcast };
  Stack& stack_;
};

}  // namespace

void add_icmp4_nodes(Stack& stack) {
  stack.node.ip4_icmp_input = stack.graph.add(std::make_unique<Icmp4Input>(stack)).index();
  stack.graph.add(std::make_unique<Icmp4Echo>(stack));
}

}  // namespace wh::vnet
