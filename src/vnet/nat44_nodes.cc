// nat44-out2in, nat44-in2out-output and nat44-hairpinning: packets whose addresses and ports are
// translated.
//
// They read a packet's transport, ask Nat44 (vnet/nat44.h) for the other endpoint and mend the
// header, the checksums by difference (RFC 1624). An ICMP error is translated by the packet it
// quotes, whose endpoints are those of the opposite direction (RFC 5508 section 4).
#include "net/checksum.h"
#include "net/wire/icmp.h"
#include "net/wire/ip4.h"
#include "net/wire/tcp.h"
#include "vnet/feature_node.h"
#include "vnet/nat44.h"
#include "vnet/shallow_reassembly.h"

namespace wh::vnet {
namespace {

using graph::Batch;
using graph::Severity;
using net::Ip4;
using net::Packet;

constexpr auto kEchoRequest = static_cast<uint16_t>(net::IcmpType::Echo);
constexpr auto kEchoReply = static_cast<uint16_t>(net::IcmpType::EchoReply);

bool is_error(uint8_t type) {
  return type == 3 || type == 11 || type == 12;  // RFC 792's that quote a packet and go back.
}

bool is_error(const Transport& t) {
  return t.protocol == net::kProtocolIcmp && is_error(static_cast<uint8_t>(t.source_port));
}

// Which end of a packet is translated: what it comes from, or what it goes to.
enum class End : uint8_t { Source, Destination };

// What names a packet's mapping beside its address; nothing for ICMP other than echo, and what has
// no ports.
std::optional<uint16_t> port_of(const std::optional<Transport>& t, End end) {
  if (!t) return std::nullopt;
  if (t->protocol == net::kProtocolIcmp) return t->echo_id;
  return end == End::Source ? t->source_port : t->destination_port;
}

// A transport checksum, and whether it may be absent (UDP over IPv4).
void mend(uint8_t* checksum, bool may_be_absent, uint32_t from, uint32_t to) {
  const uint16_t old = net::load16(checksum);
  if (may_be_absent && old == 0) return;
  uint16_t sum = net::update_checksum32(old, from, to);
  if (may_be_absent && sum == 0) sum = 0xffff;
  net::store16(checksum, sum);
}
// The same for a field that holds only the pseudo-header's sum, not complemented.
void mend_partial(uint8_t* field, uint32_t from, uint32_t to) {
  const auto old = static_cast<uint16_t>(~net::load16(field));
  net::store16(field, static_cast<uint16_t>(~net::update_checksum32(old, from, to)));
}

void set_address(uint8_t* ip, End end, Ip4 address) {
  const uint32_t at = end == End::Source ? 12 : 16;
  const std::span<uint8_t> header{ip, net::Ip4Header::kMinSize};
  net::replace_ip4_word(header, at, static_cast<uint16_t>(address.value >> 16));
  net::replace_ip4_word(header, at + 2, static_cast<uint16_t>(address.value));
}

// Gives one end of a packet another address and port.
void translate(Packet& p, const Transport& t, End end, const NatEndpoint& to) {
  uint8_t* ip = p.data() + p.l3_offset;
  const uint32_t old_address = net::load32(ip + (end == End::Source ? 12 : 16));
  set_address(ip, end, to.address);
  if (!t.is_first) return note_port(p, t, end == End::Source, to.port);
  uint8_t* l4 = p.data() + t.offset;
  const uint32_t room = p.head_size() - t.offset;
  if (t.protocol == net::kProtocolIcmp) {  // Its checksum covers no addresses.
    if (room < 8) return;
    const uint16_t old = net::load16(l4 + 4);
    net::store16(l4 + 2, net::update_checksum(net::load16(l4 + 2), old, to.port));
    net::store16(l4 + 4, to.port);
    return;
  }
  uint8_t* port = l4 + (end == End::Source ? 0 : 2);
  const uint16_t old_port = net::load16(port);
  net::store16(port, to.port);
  const uint32_t field = net::checksum_offset(t.protocol);
  if (room < field + 2) return;
  if (p.checksum == net::Checksum::Needed) {
    mend_partial(l4 + field, old_address, to.address.value);
    return;
  }
  const bool is_udp = t.protocol == net::kProtocolUdp;
  mend(l4 + field, is_udp, old_address, to.address.value);
  mend(l4 + field, is_udp, old_port, to.port);
}

// The packet that an ICMP error quotes, as far as it is needed.
struct Quote {
  uint32_t ip_at = 0, l4_at = 0;
  uint8_t protocol = 0;
};
std::optional<Quote> quote_of(Packet& p, const Transport& t) {
  if (!t.is_first) return std::nullopt;
  pullup_most(p, t.offset + 8 + 60 + 8);
  const uint32_t at = t.offset + 8;
  if (p.head_size() < at + 20) return std::nullopt;
  const uint8_t* ip = p.data() + at;
  const uint32_t size = (ip[0] & 15u) * 4;
  if (ip[0] >> 4 != 4 || size < 20 || p.head_size() < at + size + 8 ||
      (net::load16(ip + 6) & 0x1fff) != 0) {
    return std::nullopt;
  }
  return Quote{at, at + size, ip[9]};
}
uint16_t quoted_port(const Packet& p, const Quote& q, End end) {
  const uint8_t* l4 = p.data() + q.l4_at;
  if (q.protocol == net::kProtocolIcmp) return net::load16(l4 + 4);
  return net::load16(l4 + (end == End::Source ? 0 : 2));
}
// Changes one end of a quoted packet. The ICMP message's own checksum covers it all, and is mended
// by what changed: address, port, and the quoted header's checksum (whose change undoes the
// address's).
void translate_quote(Packet& p, const Transport& t, const Quote& q, End end,
                     const NatEndpoint& to) {
  uint8_t* icmp = p.data() + t.offset;
  uint8_t* ip = p.data() + q.ip_at;
  uint16_t sum = net::load16(icmp + 2);
  const uint32_t old_address = net::load32(ip + (end == End::Source ? 12 : 16));
  const uint16_t old_header = net::load16(ip + 10);
  set_address(ip, end, to.address);
  sum = net::update_checksum32(sum, old_address, to.address.value);
  sum = net::update_checksum(sum, old_header, net::load16(ip + 10));
  const bool is_icmp = q.protocol == net::kProtocolIcmp;
  uint8_t* port = p.data() + q.l4_at + (is_icmp ? 4 : end == End::Source ? 0 : 2);
  sum = net::update_checksum(sum, net::load16(port), to.port);
  net::store16(port, to.port);
  net::store16(icmp + 2, sum);
}

std::vector<graph::ErrorSpec> nat_error_specs() {
  return {{"no_translation", Severity::Error, "nat44 no translation"},
          {"no_room", Severity::Error, "nat44 out of mappings or ports"},
          {"unreadable", Severity::Error, "nat44 cannot read the headers"},
          {"unknown_protocol", Severity::Error, "nat44 unknown protocol"},
          {"translated", Severity::Info, "nat44 packets translated"}};
}
enum : uint16_t {
  kNoTranslation,
  kNoMapping,
  kUnreadable,
  kUnknownProtocol,
  kTranslated,
  kPass = 0xffff,  // No reason to drop it.
};

// Where a translated packet is looked up: the VRF its inside host is in, by any of its interfaces.
uint16_t into_vrf(const Stack& stack, uint16_t interface, uint16_t vrf) {
  if (stack.interfaces[interface].vrf == vrf) return interface;
  for (uint16_t i = 0; i < stack.interfaces.size(); ++i) {
    if (stack.interfaces[i].vrf == vrf) return i;
  }
  return interface;
}

// A node of NAT44: handles packet by packet, and drops what it names a fault of.
class NatNode : public FeatureNode {
 public:
  NatNode(Stack& stack, FeatureArc arc, std::string name)
      : FeatureNode(stack, arc, std::move(name), nat_error_specs()) {}

  void process(Batch& batch) final {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      if (const uint16_t fault = handle(batch, p); fault == kPass) {
        batch.send(i, next(p));
      } else {
        batch.drop(i, fault);
      }
    }
  }

 private:
  virtual uint16_t handle(Batch& batch, Packet& p) = 0;  // kPass, or the fault.
};

class Out2In final : public NatNode {
 public:
  explicit Out2In(Stack& stack) : NatNode(stack, FeatureArc::Ip4Input, "nat44-out2in") {}

  std::string account(const Packet& p) const override {
    return fmt::format("to {}", to_string(Ip4{net::load32(p.data() + 16)}));
  }

 private:
  uint16_t handle(Batch& batch, Packet& p) override {
    const Ip4 destination{net::load32(ip_of(p) + 16)};
    Nat44& nat = *stack_.nat44;
    const auto t = transport_of(p);
    if (t && is_error(*t)) return handle_error(batch, p, *t, destination);
    const auto port = port_of(t, End::Destination);
    const NatEndpoint outside{ip_of(p)[9], destination, port.value_or(0), 0};
    const auto inside = port ? nat.inside_of(outside) : nat.static_inside(outside);
    if (!inside) return untranslated(p, destination);
    if (port) {
      nat.note(*inside, false, t->tcp_flags, p.size());
      translate(p, *t, End::Destination, *inside);
    } else {
      set_address(ip_of(p), End::Destination, inside->address);
    }
    p.rx_interface = into_vrf(stack_, p.rx_interface, inside->vrf);
    batch.count(kTranslated);
    return kPass;
  }
  uint16_t handle_error(Batch& batch, Packet& p, const Transport& t, Ip4 destination) {
    const auto quote = quote_of(p, t);
    if (!quote) return untranslated(p, destination);
    // It quotes a packet of ours on its way out: its source is an outside endpoint.
    const Ip4 source{net::load32(p.data() + quote->ip_at + 12)};
    const auto inside =
        stack_.nat44->inside_of({quote->protocol, source, quoted_port(p, *quote, End::Source), 0});
    if (!inside) return untranslated(p, destination);
    translate_quote(p, t, *quote, End::Source, *inside);
    set_address(ip_of(p), End::Destination, inside->address);
    p.rx_interface = into_vrf(stack_, p.rx_interface, inside->vrf);
    batch.count(kTranslated);
    return kPass;
  }
  // This host may be meant, or somebody behind it whom no translation hides.
  uint16_t untranslated(const Packet& p, Ip4 destination) const {
    if (stack_.is_local(destination, stack_.vrf_of(p))) return kPass;
    return stack_.nat44->is_pool_address(destination) ? kNoTranslation : kPass;
  }
};

class In2Out final : public NatNode {
 public:
  explicit In2Out(Stack& stack) : NatNode(stack, FeatureArc::Ip4Output, "nat44-in2out-output") {}

  std::string account(const Packet& p) const override {
    return fmt::format("from {}", to_string(Ip4{net::load32(p.data() + p.l3_offset + 12)}));
  }

 private:
  uint16_t handle(Batch& batch, Packet& p) override {
    const NatRole role = stack_.nat44->role(p.rx_interface);
    // What this host sends, be it an answer to what came by an outside interface.
    const bool is_own = p.rx_interface == kLocalInterface || role == NatRole::Outside;
    if (!is_own && role != NatRole::Inside) return kPass;
    const uint16_t vrf = stack_.vrf_of(p);
    const Ip4 source{net::load32(ip_of(p) + 12)};
    const auto t = transport_of(p);
    if (t && is_error(*t)) return handle_error(batch, p, *t, source, vrf, is_own);
    if (role == NatRole::Outside) return kPass;
    const auto port = port_of(t, End::Source);
    const NatEndpoint inside{ip_of(p)[9], source, port.value_or(0), vrf};
    if (!port && is_own) return kPass;
    if (!port) return handle_portless(batch, p, inside);
    // Answers of this host to requests to it are nobody's mapping.
    if (is_own && t->protocol == net::kProtocolIcmp && t->source_port == kEchoReply) return kPass;
    // A reset has no answer, so this host's own need no mapping: who scans it fills no table.
    const bool is_refusal = is_own && net::TcpFlags{t->tcp_flags}.has_any(net::kTcpRst);
    const auto outside = stack_.nat44->outside_of(inside, !is_refusal);
    if (!outside) return is_own ? kPass : kNoMapping;
    stack_.nat44->note(inside, true, t->tcp_flags, p.size() - p.l3_offset);
    translate(p, *t, End::Source, *outside);
    batch.count(kTranslated);
    return kPass;
  }
  // Only a whole address has a mapping then.
  uint16_t handle_portless(Batch& batch, Packet& p, const NatEndpoint& inside) {
    const auto outside = stack_.nat44->outside_of(inside, false);
    if (!outside) return inside.protocol == net::kProtocolIcmp ? kUnreadable : kUnknownProtocol;
    set_address(ip_of(p), End::Source, outside->address);
    batch.count(kTranslated);
    return kPass;
  }
  // One of this host's own quotes an inside endpoint where it refused, behind nat44-out2in, what
  // came from outside: whoever gets it knows the packet by the outside one (RFC 5508 section 4.2).
  uint16_t handle_error(Batch& batch, Packet& p, const Transport& t, Ip4 source, uint16_t vrf,
                        bool is_own) {
    const auto quote = quote_of(p, t);
    if (!quote) return is_own ? kPass : kUnreadable;
    // It quotes a packet on its way in: its destination is an inside endpoint.
    const Ip4 destination{net::load32(p.data() + quote->ip_at + 16)};
    const auto outside = stack_.nat44->outside_of(
        {quote->protocol, destination, quoted_port(p, *quote, End::Destination), vrf}, false);
    if (!outside) return is_own ? kPass : kNoTranslation;
    translate_quote(p, t, *quote, End::Destination, *outside);
    // The host that answers, or a router before it: outside they all are the one address.
    if (!is_own || source == destination) set_address(ip_of(p), End::Source, outside->address);
    batch.count(kTranslated);
    return kPass;
  }
};

// What an inside host sends to an outside endpoint that leads back inside.
class Hairpinning final : public NatNode {
 public:
  explicit Hairpinning(Stack& stack) : NatNode(stack, FeatureArc::Ip4Input, "nat44-hairpinning") {}

  std::string account(const Packet& p) const override {
    const uint8_t* ip = p.data();
    return fmt::format("{} to {}", to_string(Ip4{net::load32(ip + 12)}),
                       to_string(Ip4{net::load32(ip + 16)}));
  }

 private:
  uint16_t handle(Batch& batch, Packet& p) override {
    Nat44& nat = *stack_.nat44;
    const auto t = transport_of(p);
    if (!t) return kPass;
    if (is_error(*t)) return handle_error(batch, p, *t);
    const auto from_port = port_of(t, End::Source), to_port = port_of(t, End::Destination);
    if (!from_port) return kPass;
    const bool is_request = t->protocol == net::kProtocolIcmp && t->source_port == kEchoRequest;
    const NatEndpoint from{t->protocol, Ip4{net::load32(ip_of(p) + 12)}, *from_port,
                           stack_.vrf_of(p)};
    const NatEndpoint to{t->protocol, Ip4{net::load32(ip_of(p) + 16)}, *to_port, 0};
    const auto inside = is_request ? nat.static_inside(to) : nat.inside_of(to);
    if (!inside) return kPass;
    const auto outside = nat.outside_of(from, true);
    if (!outside) return kNoMapping;
    nat.note(from, true, t->tcp_flags, p.size());
    nat.note(*inside, false, t->tcp_flags, p.size());
    // An echo has one identifier, the asker's: a request's source, a reply's destination. Last
    // wins.
    if (is_request) translate(p, *t, End::Destination, *inside);
    translate(p, *t, End::Source, *outside);
    if (!is_request) translate(p, *t, End::Destination, *inside);
    p.rx_interface = into_vrf(stack_, p.rx_interface, inside->vrf);
    batch.count(kTranslated);
    return kPass;
  }
  // It quotes a packet that was hairpinned: from an outside endpoint, to an inside one.
  uint16_t handle_error(Batch& batch, Packet& p, const Transport& t) {
    Nat44& nat = *stack_.nat44;
    const auto quote = quote_of(p, t);
    if (!quote) return kPass;
    const uint8_t* ip = p.data() + quote->ip_at;
    const auto inside = nat.inside_of(
        {quote->protocol, Ip4{net::load32(ip + 12)}, quoted_port(p, *quote, End::Source), 0});
    if (!inside) return kPass;
    const auto outside =
        nat.outside_of({quote->protocol, Ip4{net::load32(ip + 16)},
                        quoted_port(p, *quote, End::Destination), stack_.vrf_of(p)},
                       false);
    if (!outside) return kPass;
    translate_quote(p, t, *quote, End::Source, *inside);
    translate_quote(p, t, *quote, End::Destination, *outside);
    set_address(ip_of(p), End::Source, outside->address);
    set_address(ip_of(p), End::Destination, inside->address);
    p.rx_interface = into_vrf(stack_, p.rx_interface, inside->vrf);
    batch.count(kTranslated);
    return kPass;
  }
};

}  // namespace

void add_nat44_nodes(Stack& stack) {
  stack.nat44 = std::make_unique<Nat44>(stack);
  stack.graph.add(std::make_unique<Out2In>(stack));
  stack.graph.add(std::make_unique<Hairpinning>(stack));
  stack.graph.add(std::make_unique<In2Out>(stack));
}

}  // namespace wh::vnet
