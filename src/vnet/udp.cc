#include "vnet/udp.h"

#include <algorithm>

#include "net/checksum.h"
#include "net/wire/describe.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "net/wire/udp.h"
#include "vnet/nodes.h"

namespace wh::vnet {

using graph::Arc;
using graph::Batch;
using graph::ErrorSpec;
using graph::Node;
using graph::Severity;
using net::Family;
using net::Ip4Header;
using net::Ip6Header;
using net::IpAddress;
using net::Packet;
using net::PacketPtr;
using net::UdpHeader;
using net::UdpView;

namespace {

constexpr uint16_t kFirstEphemeral = 49152;  // RFC 6335 section 6.

// ip4-udp-lookup and ip6-udp-lookup: from a datagram to its socket.
class UdpLookup final : public Node {
 public:
  UdpLookup(Stack& stack, Family family)
      : Node({.name = family == Family::V4 ? "ip4-udp-lookup" : "ip6-udp-lookup",
              .next = {family == Family::V4 ? "ip4-icmp-error" : "ip6-icmp-error"},
              .errors = errors_of(net::kUdpFaultNames) +
                        std::vector<ErrorSpec>{
                            {"bad_checksum", Severity::Error, "udp bad checksum"},
                            {"no_listener", Severity::Error, "no listener for dst port"},
                            {"delivered", Severity::Info, "datagrams delivered"}}}),
        stack_(stack),
        family_(family) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      pullup_most(p, p.l4_offset + UdpHeader::kSize);
      const auto udp = UdpView::parse(
          p.head().subspan(std::min<size_t>(p.l4_offset, p.head_size())), p.size() - p.l4_offset);
      if (!udp) {
        batch.drop(i, static_cast<uint16_t>(udp.fault()));
        continue;
      }
      if (!is_checksum_right(p, *udp)) {
        batch.drop(i, kBadChecksum);
        continue;
      }
      const UdpDatagram datagram = datagram_of(p, *udp);
      if (find(datagram) == nullptr) {
        refuse(batch, i);
        continue;
      }
      const PacketPtr kept = batch.take(i);
      deliver(batch, *kept, datagram);
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : Arc { kIcmpError = 1 };
  enum : uint16_t { kBadChecksum = net::kUdpFaultNames.size(), kNoListener, kDelivered };

  UdpSocket* find(const UdpDatagram& d) const {
    return stack_.udp->find(d.destination, d.destination_port, d.table);
  }
  // A packet with gso_size is many datagrams. Whoever gets one may close any socket.
  void deliver(Batch& batch, const Packet& p, UdpDatagram d) const {
    const uint32_t end = d.offset + d.size;
    const uint32_t step = p.gso_size != 0 ? p.gso_size : d.size;
    do {
      d.socket = find(d);
      if (d.socket == nullptr) return;
      d.size = std::min(step, end - d.offset);
      batch.count(kDelivered);
      UdpTable::deliver(*d.socket, d);
      d.offset += d.size;
    } while (d.offset < end);
  }

  bool is_checksum_right(Packet& p, const UdpView& udp) const {
    // Over IPv6 a checksum is not a choice (RFC 8200 section 8.1).
    if (family_ == Family::V6 && udp.checksum() == 0 && p.checksum == net::Checksum::Unknown) {
      return false;
    }
    return net::verify_transport(p, net::kProtocolUdp);
  }

  UdpDatagram datagram_of(const Packet& p, const UdpView& udp) const {
    UdpDatagram d{.packet = p};
    if (family_ == Family::V4) {
      d.source = net::Ip4{net::load32(p.data() + 12)};
      d.destination = net::Ip4{net::load32(p.data() + 16)};
    } else {
      const auto ip = net::Ip6View::parse_quoted(p.head());
      d.source = ip->source();
      d.destination = ip->destination();
    }
    d.source_port = udp.source_port();
    d.destination_port = udp.destination_port();
    d.ecn = p.ecn;
    d.table = stack_.vrf_of(p);
    d.offset = p.l4_offset + UdpHeader::kSize;
    d.size = udp.payload_size();
    return d;
  }

  void refuse(Batch& batch, uint32_t i) {
    if (stack_.settings.udp_blackhole != 0) {
      batch.drop(i, kNoListener);
      return;
    }
    batch.blame(i, kNoListener);
    // The rules against answering packets to many are the error node's; it knows this one by its
    // adjacency.
    if (batch[i].adjacency == kLocalMulticast) {
      batch.send(i, graph::kDropArc);
      return;
    }
    if (family_ == Family::V4) {
      note_icmp(batch[i],
                {static_cast<uint8_t>(net::IcmpType::Unreachable), net::kIcmpPortUnreachable, 0});
    } else {
      note_icmp(batch[i],
                {static_cast<uint8_t>(net::Icmp6Type::Unreachable), net::kIcmp6PortUnreachable, 0});
    }
    batch.send(i, kIcmpError);
  }
  Stack& stack_;
  Family family_;
};

}  // namespace

void add_udp_nodes(Stack& stack) {
  stack.udp = std::make_unique<UdpTable>(stack);
  stack.graph.add(std::make_unique<UdpLookup>(stack, Family::V4));
  stack.graph.add(std::make_unique<UdpLookup>(stack, Family::V6));
}

// --- sockets ---

UdpSocket::~UdpSocket() {
  table_.close(*this);
}

Result<void> UdpSocket::send(const IpAddress& to, uint16_t port, std::span<const uint8_t> payload,
                             const How& how) {
  return send(to, port, {net::ChunkRef::copy_of(payload), 0, static_cast<uint32_t>(payload.size())},
              how);
}

Result<void> UdpSocket::send(const IpAddress& to, uint16_t port, net::Slice payload,
                             const How& how) {
  Stack& stack = table_.stack_;
  if (to.family != config_.family) return fail("udp: {} is of another family", to_string(to));
  const uint16_t table = config_.table == net::kEveryTable ? how.table : config_.table;
  const auto route = stack.route(to, table);
  if (!route) return fail_with(std::errc::network_unreachable, "udp to " + to_string(to));
  const IpAddress& asked = config_.address.is_unspecified() ? how.from : config_.address;
  const IpAddress source = asked.is_unspecified() ? route->source : asked;
  const uint32_t length = UdpHeader::kSize + payload.size;
  const bool v4 = to.is_v4();
  if (length + (v4 ? Ip4Header::kMinSize : 0) > 0xffff) {
    return fail_with(std::errc::message_size, fmt::format("udp of {} bytes", payload.size));
  }
  PacketPtr p = stack.pool.allocate();
  if (p == nullptr) return fail_with(std::errc::no_buffer_space, "udp");
  // Headers are pushed from the payload outwards.
  const bool with_checksum = !v4 || stack.settings.udp_checksum != 0;
  const uint16_t sum = with_checksum
                           ? net::pseudo_header(source, to, net::kProtocolUdp, length).folded()
                           : uint16_t{0};
  UdpHeader{config_.port, port, static_cast<uint16_t>(length), sum}.emit(
      {p->push(UdpHeader::kSize), UdpHeader::kSize});
  p->checksum = with_checksum ? net::Checksum::Needed : net::Checksum::Verified;
  if (v4) {
    Ip4Header{.source = source.v4(),
              .destination = to.v4(),
              .protocol = net::kProtocolUdp,
              .ttl = static_cast<uint8_t>(stack.settings.ip_ttl),
              .total_length = static_cast<uint16_t>(length + Ip4Header::kMinSize),
              .id = stack.new_ip_id(),
              .dont_fragment = config_.dont_fragment}
        .emit({p->push(Ip4Header::kMinSize), Ip4Header::kMinSize});
  } else {
    Ip6Header{.source = source.v6(),
              .destination = to.v6(),
              .next_header = net::kProtocolUdp,
              .hop_limit = static_cast<uint8_t>(stack.settings.ip6_hlim),
              .payload_length = static_cast<uint16_t>(length)}
        .emit({p->push(Ip6Header::kSize), Ip6Header::kSize});
  }
  p->l4_offset = static_cast<uint16_t>(v4 ? Ip4Header::kMinSize : Ip6Header::kSize);
  p->table = table;
  p->append(std::move(payload));
  stack.graph.enqueue(v4 ? stack.node.ip4_lookup : stack.node.ip6_lookup, std::move(p));
  stack.graph.run();
  return {};
}

// --- the table ---

bool UdpTable::is_free(const UdpSocket::Config& config) const {
  const auto it = by_port_.find(key(config.family, config.port));
  if (it == by_port_.end()) return true;
  return std::none_of(it->second.begin(), it->second.end(), [&](const UdpSocket* s) {
    return s->config_.address == config.address && s->config_.table == config.table;
  });
}

Result<uint16_t> UdpTable::pick_port(UdpSocket::Config config) {
  constexpr uint32_t kPorts = 0x10000 - kFirstEphemeral;
  const uint64_t start = stack_.random.below(kPorts);
  for (uint64_t i = 0; i < kPorts; ++i) {
    config.port = static_cast<uint16_t>(kFirstEphemeral + (start + i) % kPorts);
    if (is_free(config)) return config.port;
  }
  return fail_with(std::errc::address_not_available, "udp: all ephemeral ports are in use");
}

Result<std::unique_ptr<UdpSocket>> UdpTable::open(UdpSocket::Config config,
                                                  UdpSocket::Receive receive) {
  if (config.address.is_unspecified()) {
    config.address = config.family == Family::V4 ? IpAddress(net::Ip4{}) : IpAddress(net::Ip6{});
  } else if (config.address.family != config.family) {
    return fail("udp bind to {}: of another family", to_string(config.address));
  } else if (!stack_.is_local(config.address,
                              config.table == net::kEveryTable ? 0 : config.table)) {
    return fail_with(std::errc::address_not_available,
                     fmt::format("udp bind to {}", to_string(config.address)));
  }
  if (config.port == 0) config.port = TRY(pick_port(config));
  if (!is_free(config)) {
    return fail_with(std::errc::address_in_use, fmt::format("udp bind to port {}", config.port));
  }
  std::unique_ptr<UdpSocket> socket(new UdpSocket(*this, config, std::move(receive)));
  by_port_[key(config.family, config.port)].push_back(socket.get());
  return socket;
}

void UdpTable::close(UdpSocket& socket) {
  const auto it = by_port_.find(key(socket.config_.family, socket.config_.port));
  std::erase(it->second, &socket);
  if (it->second.empty()) by_port_.erase(it);
}

UdpSocket* UdpTable::find(const IpAddress& address, uint16_t port, uint16_t table) const {
  const auto it = by_port_.find(key(address.family, port));
  if (it == by_port_.end()) return nullptr;
  UdpSocket* best = nullptr;
  int most = -1;  // How closely that fits.
  for (UdpSocket* s : it->second) {
    const UdpSocket::Config& c = s->config_;
    const bool is_its = c.address == address, is_in = c.table == table;
    if (!(is_its || c.address.is_unspecified()) || !(is_in || c.table == net::kEveryTable))
      continue;
    const int fit = 2 * is_in + is_its;
    if (fit > most) best = s;
    most = std::max(most, fit);
  }
  return best;
}

Result<void> UdpTable::leave_table(uint16_t table) const {
  for (const auto& [place, sockets] : by_port_) {
    for (const UdpSocket* s : sockets) {
      if (s->config_.table == table) return fail("UDP port {} is open in it", s->port());
    }
  }
  return {};
}

std::vector<uint16_t> UdpTable::ports(net::Family family) const {
  std::vector<uint16_t> all;
  for (const auto& [place, sockets] : by_port_) {
    const auto port = static_cast<uint16_t>(place);
    if (place == key(family, port) && !sockets.empty()) all.push_back(port);
  }
  std::sort(all.begin(), all.end());
  return all;
}

bool UdpTable::error(const net::IpError& error) const {
  if (error.transport.size() < UdpHeader::kSize) return false;
  UdpSocket* socket = find(error.source, net::load16(error.transport.data()), error.table);
  if (socket == nullptr) return false;
  if (socket->on_error_) socket->on_error_(error);
  return true;
}

}  // namespace wh::vnet
