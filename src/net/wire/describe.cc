#include "net/wire/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/ip_service.h"
#include "net/wire/arp.h"
#include "net/wire/ethernet.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "net/wire/tcp.h"
#include "net/wire/udp.h"

namespace wh::net {
namespace {

// "source > destination: what", with ports when the protocol has them.
std::string describe_transport(uint8_t protocol, std::span<const uint8_t> head, size_t size,
                               const std::string& source, const std::string& destination) {
  auto plain = [&](std::string_view what) {
    return fmt::format("{} > {}: {}", source, destination, what);
  };
  auto with_ports = [&](uint16_t from, uint16_t to, std::string_view what) {
    return fmt::format("{}.{} > {}.{}: {}", source, from, destination, to, what);
  };
  switch (protocol) {
    case kProtocolTcp: {
      const auto tcp = TcpView::parse(head, size);
      if (!tcp) return plain(fmt::format("[{}]", to_string(tcp.fault())));
      return with_ports(tcp->source_port(), tcp->destination_port(), to_string(*tcp));
    }
    case kProtocolUdp: {
      const auto udp = UdpView::parse(head, size);
      if (!udp) return plain(fmt::format("[{}]", to_string(udp.fault())));
      return with_ports(udp->source_port(), udp->destination_port(), to_string(*udp));
    }
    case kProtocolIcmp: {
      const auto icmp = IcmpView::parse(head);
      if (!icmp) return plain(fmt::format("[{}]", to_string(icmp.fault())));
      return plain(fmt::format("{}, length {}", to_string(*icmp), size));
    }
    case kProtocolIcmp6: {
      const auto icmp = Icmp6View::parse(head);
      if (!icmp) return plain(fmt::format("[{}]", to_string(icmp.fault())));
      return plain(fmt::format("{}, length {}", to_string(*icmp), size));
    }
    default: return plain(fmt::format("protocol {}, length {}", protocol, size));
  }
}

std::string describe_ip4(std::span<const uint8_t> head, size_t size) {
  const auto ip = Ip4View::parse(head, size);
  if (!ip) return fmt::format("IP [{}]", to_string(ip.fault()));
  const std::string source = to_string(ip->source()), destination = to_string(ip->destination());
  if (ip->is_fragment()) {
    return fmt::format("IP {} > {}: fragment id {}, offset {}{}, protocol {}, length {}", source,
                       destination, ip->id(), ip->fragment_offset(),
                       ip->more_fragments() ? "+" : "", ip->protocol(), ip->payload_size());
  }
  const size_t end = std::min<size_t>(head.size(), ip->total_length());
  return "IP " + describe_transport(ip->protocol(), head.first(end).subspan(ip->header_size()),
                                    ip->payload_size(), source, destination);
}

std::string describe_ip6(std::span<const uint8_t> head, size_t size) {
  const auto ip = Ip6View::parse(head, size);
  if (!ip) return fmt::format("IP6 [{}]", to_string(ip.fault()));
  const std::string source = to_string(ip->source()), destination = to_string(ip->destination());
  Ip6Extensions chain;
  if (const auto fault = ip->extensions(chain)) {
    return fmt::format("IP6 {} > {}: [{}]", source, destination, to_string(*fault));
  }
  const size_t left = ip->total_length() - chain.offset;
  if (chain.has_fragment() && !chain.fragment.is_atomic()) {
    return fmt::format("IP6 {} > {}: fragment id {}, offset {}{}, protocol {}, length {}", source,
                       destination, chain.fragment.id, chain.fragment.offset,
                       chain.fragment.more_fragments ? "+" : "", chain.protocol, left);
  }
  const size_t end = std::min<size_t>(head.size(), ip->total_length());
  return "IP6 " + describe_transport(chain.protocol, head.first(end).subspan(chain.offset), left,
                                     source, destination);
}

std::string protocol_name(uint8_t protocol) {
  switch (protocol) {
    case kProtocolTcp: return "tcp";
    case kProtocolUdp: return "udp";
    default: return fmt::format("protocol {}", protocol);
  }
}

std::string describe_error4(const IcmpView& icmp, std::string_view what) {
  return fmt::format("ICMP {} {}", to_string(icmp.quoted().destination()), what);
}

std::string describe_unreachable4(const IcmpView& icmp) {
  switch (icmp.code()) {
    case kIcmpNetUnreachable: return describe_error4(icmp, "net unreachable");
    case kIcmpHostUnreachable: return describe_error4(icmp, "host unreachable");
    case kIcmpProtocolUnreachable:
      return describe_error4(icmp,
                             fmt::format("protocol {} unreachable", icmp.quoted().protocol()));
    case kIcmpPortUnreachable: {
      const auto port = load16(icmp.quoted_transport().data() + 2);
      return describe_error4(icmp, fmt::format("{} port {} unreachable",
                                               protocol_name(icmp.quoted().protocol()), port));
    }
    case kIcmpFragmentationNeeded:
      return describe_error4(
          icmp, fmt::format("unreachable - need to frag (mtu {})", icmp.next_hop_mtu()));
    case kIcmpAdminProhibited: return describe_error4(icmp, "unreachable - admin prohibited");
    default: return describe_error4(icmp, fmt::format("unreachable, code {}", icmp.code()));
  }
}

}  // namespace

std::string describe_ip(std::span<const uint8_t> head, size_t size) {
  if (head.empty()) return "IP [empty]";
  switch (head[0] >> 4) {
    case 4: return describe_ip4(head, size);
    case 6: return describe_ip6(head, size);
    default: return fmt::format("IP [version {}]", head[0] >> 4);
  }
}

std::string describe_ethernet(std::span<const uint8_t> head, size_t size) {
  const auto ethernet = EthernetView::parse(head);
  if (!ethernet) return fmt::format("[{}]", to_string(ethernet.fault()));
  const auto rest = head.subspan(ethernet->header_size());
  const size_t left = size - ethernet->header_size();
  switch (ethernet->type()) {
    case EtherType::Ip4:
    case EtherType::Ip6: return describe_ip(rest, left);
    case EtherType::Arp: {
      const auto arp = ArpView::parse(rest);
      return arp ? to_string(*arp) : fmt::format("ARP [{}]", to_string(arp.fault()));
    }
    default: return fmt::format("{}, length {}", to_string(*ethernet), left);
  }
}

std::string to_string(const EthernetView& ethernet) {
  std::string text =
      fmt::format("{} > {}", to_string(ethernet.source()), to_string(ethernet.destination()));
  for (uint32_t i = 0; i < ethernet.tag_count(); ++i) {
    text += fmt::format(", vlan {}", ethernet.tag(i).vlan());
  }
  return text + fmt::format(", {} {:#06x}", ethernet.is_802_3() ? "802.3 length" : "ethertype",
                            static_cast<uint16_t>(ethernet.type()));
}

std::string to_string(const ArpView& arp) {
  switch (arp.operation()) {
    case ArpOperation::Request:
      return fmt::format("ARP, Request who-has {} tell {}", to_string(arp.target_ip()),
                         to_string(arp.sender_ip()));
    case ArpOperation::Reply:
      return fmt::format("ARP, Reply {} is-at {}", to_string(arp.sender_ip()),
                         to_string(arp.sender_mac()));
  }
  return fmt::format("ARP, operation {}", static_cast<uint16_t>(arp.operation()));
}

std::string to_string(const UdpView& udp) {
  return fmt::format("UDP, length {}", udp.payload_size());
}

std::string to_string(const IcmpView& icmp) {
  switch (icmp.type()) {
    case IcmpType::Echo:
    case IcmpType::EchoReply:
      return fmt::format("ICMP echo {}, id {}, seq {}",
                         icmp.type() == IcmpType::Echo ? "request" : "reply", icmp.echo_id(),
                         icmp.echo_sequence());
    case IcmpType::Unreachable: return describe_unreachable4(icmp);
    case IcmpType::TimeExceeded:
      return describe_error4(icmp, icmp.code() == kIcmpTtlExceeded ? "time exceeded in-transit"
                                                                   : "reassembly time exceeded");
    case IcmpType::ParameterProblem:
      return describe_error4(icmp, fmt::format("parameter problem - octet {}", icmp.pointer()));
    case IcmpType::Redirect: return describe_error4(icmp, "redirect");
  }
  return fmt::format("ICMP type {}, code {}", static_cast<int>(icmp.type()), icmp.code());
}

std::string to_string(const Icmp6View& icmp) {
  switch (icmp.type()) {
    case Icmp6Type::Echo:
    case Icmp6Type::EchoReply:
      return fmt::format("ICMP6, echo {}, id {}, seq {}",
                         icmp.type() == Icmp6Type::Echo ? "request" : "reply", icmp.echo_id(),
                         icmp.echo_sequence());
    case Icmp6Type::Unreachable:
      return fmt::format("ICMP6, destination unreachable, code {}, {}", icmp.code(),
                         to_string(icmp.quoted().destination()));
    case Icmp6Type::PacketTooBig: return fmt::format("ICMP6, packet too big, mtu {}", icmp.mtu());
    case Icmp6Type::TimeExceeded:
      return fmt::format("ICMP6, time exceeded, code {}, {}", icmp.code(),
                         to_string(icmp.quoted().destination()));
    case Icmp6Type::ParameterProblem:
      return fmt::format("ICMP6, parameter problem, code {}, octet {}", icmp.code(),
                         icmp.pointer());
    case Icmp6Type::RouterSolicitation: return "ICMP6, router solicitation";
    case Icmp6Type::RouterAdvertisement: return "ICMP6, router advertisement";
    case Icmp6Type::NeighbourSolicitation:
      return fmt::format("ICMP6, neighbor solicitation, who has {}",
                         to_string(icmp.neighbour_solicitation().target));
    case Icmp6Type::NeighbourAdvertisement:
      return fmt::format("ICMP6, neighbor advertisement, tgt is {}",
                         to_string(icmp.neighbour_advertisement().target));
  }
  return fmt::format("ICMP6, type {}, code {}", static_cast<int>(icmp.type()), icmp.code());
}

std::string to_string(TcpFlags flags) {
  // In tcpdump's order and letters; an ACK is a dot.
  constexpr std::pair<TcpFlags, char> kLetters[] = {{kTcpFin, 'F'}, {kTcpSyn, 'S'}, {kTcpRst, 'R'},
                                                    {kTcpPsh, 'P'}, {kTcpAck, '.'}, {kTcpUrg, 'U'},
                                                    {kTcpEce, 'E'}, {kTcpCwr, 'W'}, {kTcpAe, 'e'}};
  std::string text;
  for (const auto& [flag, letter] : kLetters) {
    if (flags.has(flag)) text += letter;
  }
  return text.empty() ? "none" : text;
}

std::string to_string(const TcpOptions& o) {
  std::string text;
  auto add = [&](const std::string& part) { text += (text.empty() ? "" : ",") + part; };
  if (o.mss) add(fmt::format("mss {}", *o.mss));
  if (o.sack_permitted) add("sackOK");
  if (o.timestamps) add(fmt::format("TS val {} ecr {}", o.timestamps->value, o.timestamps->echo));
  if (o.window_scale) add(fmt::format("wscale {}", *o.window_scale));
  if (o.sack_count != 0) {
    std::string blocks;
    for (const SackBlock& b : o.sack_blocks()) {
      blocks += fmt::format("{{{}:{}}}", b.begin.value(), b.end.value());
    }
    add(fmt::format("sack {} {}", o.sack_count, blocks));
  }
  if (o.fast_open) add(o.fast_open->size == 0 ? "tfo cookiereq" : "tfo cookie");
  if (o.malformed) add("[malformed]");
  return text;
}

std::string to_string(const TcpView& tcp) {
  std::string text = fmt::format("Flags [{}]", to_string(tcp.flags()));
  const uint32_t payload = tcp.payload_size();
  if (payload != 0 || tcp.seq_len().count() != 0 || tcp.has(kTcpRst)) {
    text += fmt::format(", seq {}", tcp.seq().value());
    if (payload != 0) text += fmt::format(":{}", (tcp.seq() + SeqLen(payload)).value());
  }
  if (tcp.has(kTcpAck)) text += fmt::format(", ack {}", tcp.ack().value());
  text += fmt::format(", win {}", tcp.window());
  if (tcp.has(kTcpUrg)) text += fmt::format(", urg {}", tcp.urgent());
  if (const std::string options = to_string(tcp.options()); !options.empty()) {
    text += fmt::format(", options [{}]", options);
  }
  return text + fmt::format(", length {}", payload);
}

bool begins_with_ip(const Packet& p) {
  return std::min<uint32_t>(p.l2_size, p.headroom()) == 0 && p.l3_offset == 0 &&
         (Ip4View::parse(p.head(), p.size()) || Ip6View::parse(p.head(), p.size()));
}

}  // namespace wh::net
