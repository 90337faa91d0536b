// ip4-icmp-error and ip6-icmp-error: the errors a host or router sends about a packet.
//
// The packet comes with a note of what to say (packet_tools.h) and with its reason to be dropped.
// An error goes out only where the RFCs allow one: never about an ICMP error, an IPv4 fragment but
// the first, a packet to many or from nobody (RFC 1122 section 3.2.2, RFC 1812 section 4.3.2.7, RFC
// 4443 section 2.4 (e)), and no more of them in a second than the sysctl says. Whether an error
// went out or not, the packet ends in error-drop.
#include "net/checksum.h"
#include "net/wire/describe.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "vnet/nodes.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::Node;
using graph::Severity;
using net::Icmp6Header;
using net::Icmp6Type;
using net::IcmpHeader;
using net::IcmpType;
using net::Ip4;
using net::Ip4Header;
using net::Ip4View;
using net::Ip6;
using net::Ip6Extensions;
using net::Ip6Header;
using net::Ip6View;
using net::IpAddress;
using net::Packet;
using net::PacketPtr;

enum : uint16_t { kErrorSent, kNotAllowed, kLimited, kNoSource, kErrorNoBuffers };
constexpr Arc kLookup = 1;

std::vector<graph::ErrorSpec> icmp_error_specs() {
  return {{"sent", Severity::Info, "errors sent"},
          {"not_allowed", Severity::Info, "errors not sent: the packet allows none"},
          {"limited", Severity::Warning, "errors not sent: rate limit"},
          {"no_source", Severity::Warning, "errors not sent: no address to send from"},
          {"no_buffers", Severity::Error, "errors not sent: no buffers"}};
}

// Whose address an error about `p` is sent from: the packet's destination when that is ours, else
// an address of the interface it came by.
const IpAddress* source_of(const Stack& stack, const Packet& p, const IpAddress& destination,
                           const IpAddress& offender, IpAddress& storage) {
  const bool is_ours = stack.is_local(destination, stack.vrf_of(p));
  if (is_ours || p.interface == kLocalInterface) {
    storage = is_ours ? destination : offender;
    return &storage;
  }
  return stack.interfaces[p.interface].source_for(offender);
}

// What is to be said of a packet, or was: the error itself has no note.
std::string account_of(const Packet& p) {
  if (p.icmp_note == 0) return net::describe_ip(p);
  const IcmpNote note = noted_icmp(p);
  return fmt::format("type {} code {} value {}\n{}", note.type, note.code, note.value,
                     net::describe_ip(p));
}

class Icmp4Error final : public Node {
 public:
  explicit Icmp4Error(Stack& stack)
      : Node({.name = "ip4-icmp-error", .next = {"ip4-lookup"}, .errors = icmp_error_specs()}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const uint16_t outcome = answer(batch, p);
      batch.count(outcome);
      batch.send(i, graph::kDropArc);
    }
  }
  std::string account(const Packet& p) const override { return account_of(p); }

 private:
  static constexpr uint32_t kMaxSize = 576;  // RFC 1812 section 4.3.2.3.

  bool allows_error(const Packet& p, const Ip4View& ip) const {
    // The FIB knows the broadcast addresses of our links.
    if (is_link_multicast(p) || ip.destination().is_multicast() || ip.fragment_offset() != 0 ||
        stack_.fib(net::Family::V4, stack_.vrf_of(p)).lookup(ip.destination()) == kLocalMulticast) {
      return false;
    }
    const Ip4 from = ip.source();
    if (from.value == 0 || from.is_multicast() || from.is_broadcast()) return false;
    if (ip.protocol() != net::kProtocolIcmp) return true;
    if (p.head_size() <= ip.header_size()) return false;
    return net::is_icmp_query(p.data()[ip.header_size()]);
  }

  int64_t limit() const {
    const int64_t limit = stack_.settings.icmp_icmplim;
    return limit == 0 ? RateLimit::kUnlimited : limit;
  }

  uint16_t answer(Batch& batch, const Packet& p) {
    const auto ip = Ip4View::parse_quoted(p.head());
    if (!ip || !allows_error(p, *ip)) return kNotAllowed;
    IpAddress storage;
    const IpAddress* source = source_of(stack_, p, ip->destination(), ip->source(), storage);
    if (source == nullptr) return kNoSource;
    if (!stack_.icmp_limit.take(stack_.loop.now(), limit())) return kLimited;
    PacketPtr error = stack_.pool.allocate();
    if (error == nullptr) return kErrorNoBuffers;

    const uint32_t quoted = std::min(p.size(), kMaxSize - Ip4Header::kMinSize - IcmpHeader::kSize);
    const uint32_t size = Ip4Header::kMinSize + IcmpHeader::kSize + quoted;
    Ip4Header{.source = source->v4(),
              .destination = ip->source(),
              .protocol = net::kProtocolIcmp,
              .ttl = static_cast<uint8_t>(stack_.settings.ip_ttl),
              .tos = 0xc0,  // Precedence "internetwork control" (RFC 1812 section 4.3.2.5).
              .total_length = static_cast<uint16_t>(size),
              .id = stack_.new_ip_id()}
        .emit({error->append(Ip4Header::kMinSize), Ip4Header::kMinSize});
    const IcmpNote note = noted_icmp(p);
    const bool is_pointer = static_cast<IcmpType>(note.type) == IcmpType::ParameterProblem;
    IcmpHeader{static_cast<IcmpType>(note.type), note.code, 0,
               is_pointer ? uint32_t{note.value} << 24 : uint32_t{note.value}}
        .emit({error->append(IcmpHeader::kSize), IcmpHeader::kSize});
    append_range(*error, p, 0, quoted);
    net::InternetSum sum;
    error->for_each_run(Ip4Header::kMinSize, [&](std::span<const uint8_t> run) { sum.add(run); });
    net::store16(error->data() + Ip4Header::kMinSize + 2, sum.checksum());
    error->l4_offset = Ip4Header::kMinSize;
    error->checksum = net::Checksum::Verified;
    error->trace = p.trace;
    error->rx_interface = p.rx_interface;
    error->table = p.table;
    batch.emit(std::move(error), kLookup);
    return kErrorSent;
  }
  Stack& stack_;
};

class Icmp6Error final : public Node {
 public:
  explicit Icmp6Error(Stack& stack)
      : Node({.name = "ip6-icmp-error", .next = {"ip6-lookup"}, .errors = icmp_error_specs()}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      const uint16_t outcome = answer(batch, batch[i]);
      batch.count(outcome);
      batch.send(i, graph::kDropArc);
    }
  }
  std::string account(const Packet& p) const override { return account_of(p); }

 private:
  static constexpr uint32_t kMaxSize = 1280;  // RFC 4443 section 2.4 (c).

  static bool allows_error(const Packet& p, const Ip6View& ip, const IcmpNote& note) {
    // Packets to many may be answered when they are too big or have an option that asks for it.
    const auto type = static_cast<Icmp6Type>(note.type);
    const bool even_to_many =
        type == Icmp6Type::PacketTooBig ||
        (type == Icmp6Type::ParameterProblem && note.code == net::kIcmp6UnknownOption);
    if (!even_to_many && (is_link_multicast(p) || ip.destination().is_multicast())) return false;
    if (ip.source().is_unspecified() || ip.source().is_multicast()) return false;
    Ip6Extensions extensions;
    if (ip.extensions(extensions)) return true;  // A chain that cannot be read hides no ICMP error.
    if (extensions.protocol != net::kProtocolIcmp6) return true;
    // What does not show that it is no ICMPv6 error is taken for one.
    if (extensions.has_fragment() && extensions.fragment.offset != 0) return false;
    return p.head_size() > extensions.offset && p.data()[extensions.offset] >= 128;
  }

  uint16_t answer(Batch& batch, const Packet& p) {
    const IcmpNote note = noted_icmp(p);
    const auto ip = Ip6View::parse_quoted(p.head());
    if (!ip || !allows_error(p, *ip, note)) return kNotAllowed;
    IpAddress storage;
    const IpAddress* source = source_of(stack_, p, ip->destination(), ip->source(), storage);
    if (source == nullptr) return kNoSource;
    if (!stack_.icmp6_limit.take(stack_.loop.now(), stack_.settings.icmp6_errppslimit)) {
      return kLimited;
    }
    PacketPtr error = stack_.pool.allocate();
    if (error == nullptr) return kErrorNoBuffers;

    const uint32_t quoted = std::min(p.size(), kMaxSize - Ip6Header::kSize - Icmp6Header::kSize);
    const uint32_t length = Icmp6Header::kSize + quoted;
    Ip6Header{.source = source->v6(),
              .destination = ip->source(),
              .next_header = net::kProtocolIcmp6,
              .hop_limit = static_cast<uint8_t>(stack_.settings.ip6_hlim),
              .payload_length = static_cast<uint16_t>(length)}
        .emit({error->append(Ip6Header::kSize), Ip6Header::kSize});
    Icmp6Header{static_cast<Icmp6Type>(note.type), note.code, 0, note.value}.emit(
        {error->append(Icmp6Header::kSize), Icmp6Header::kSize});
    append_range(*error, p, 0, quoted);
    net::InternetSum sum =
        net::pseudo_header(source->v6(), ip->source(), net::kProtocolIcmp6, length);
    error->for_each_run(Ip6Header::kSize, [&](std::span<const uint8_t> run) { sum.add(run); });
    net::store16(error->data() + Ip6Header::kSize + 2, sum.checksum());
    error->l4_offset = Ip6Header::kSize;
    error->checksum = net::Checksum::Verified;
    error->trace = p.trace;
    error->rx_interface = p.rx_interface;
    error->table = p.table;
    batch.emit(std::move(error), kLookup);
    return kErrorSent;
  }
  Stack& stack_;
};

}  // namespace

void add_icmp_error_nodes(Stack& stack) {
  stack.node.ip4_icmp_error = stack.graph.add(std::make_unique<Icmp4Error>(stack)).index();
  stack.node.ip6_icmp_error = stack.graph.add(std::make_unique<Icmp6Error>(stack)).index();
}

}  // namespace wh::vnet
