#include "packetdrill/wire.h"

#include <cstring>

namespace wh::packetdrill {
namespace {

constexpr uint32_t kEthernetHeader = 14;
const net::MacAddress kOurMac = net::MacAddress::local(1);
const net::MacAddress kPeerMac = net::MacAddress::local(2);

net::IpAddress address_at(const uint8_t* at, bool is_v4) {
  if (is_v4) {
    return net::Ip4::of(at[0], at[1], at[2], at[3]);
  }
  net::Ip6 v6;
  std::memcpy(v6.bytes.data(), at, 16);
  return v6;
}

// The usual prefix about an address, or a wider one in which it is not the broadcast address or the
// prefix's own: packetdrill draws addresses at random, ends included.
net::Prefix prefix_about(const net::IpAddress& address) {
  if (!address.is_v4()) return {address, 64};
  uint8_t length = 24;
  for (; length > 8; --length) {
    const uint32_t host = UINT32_MAX >> length;
    const uint32_t at = address.v4().value & host;
    if (at != 0 && at != host) break;
  }
  return {address, length};
}

}  // namespace

Wire::Wire(vnet::Vnet& vnet, Loop& loop, net::PacketPool& pool, uint32_t mtu)
    : net::Interface({.name = "tun0", .mac = kOurMac, .mtu = mtu}, loop), vnet_(vnet), pool_(pool) {
  index_ = MUST(vnet_.attach(*this));  // A new vnet has no interface of this name.
}

Wire::~Wire() {
  MUST(vnet_.detach(index_));  // It was attached.
}

void Wire::learn_local(const net::IpAddress& address) {
  if (address.is_unspecified() || address.is_multicast() || !local_.insert(address).second) return;
  if (vnet_.is_local(address)) return;
  // A prefix of its own with a neighbour in it, through whom everything else is reached.
  const bool is_v4 = address.is_v4();
  const net::Prefix prefix = prefix_about(address);
  net::IpAddress router = address;
  uint8_t& last = router.bits.bytes[is_v4 ? 3 : 15];
  last = last == 254 ? 253 : 254;
  const bool is_known = vnet_.add_address(index_, prefix).has_value() &&
                        vnet_.add_neighbour(index_, router, kPeerMac).has_value();
  if (!is_known) return;
  net::IpAddress any;
  any.family = address.family;
  // Another address may have brought the route: then it stays as it is.
  if (!vnet_.route(any)) (void)vnet_.add_route({any, 0}, router, index_);
}

void Wire::learn_remote(const net::IpAddress& address) {
  if (address.is_unspecified() || address.is_multicast() || !remote_.insert(address).second) return;
  // On a prefix of ours it would be asked for; beyond, the router has it.
  (void)vnet_.add_neighbour(index_, address, kPeerMac);
}

bool Wire::deliver(std::span<const uint8_t> packet) {
  if (packet.empty()) return false;
  const bool is_v4 = packet[0] >> 4 == 4;
  if (!is_v4 && packet[0] >> 4 != 6) return false;
  if (packet.size() < (is_v4 ? 20u : 40u)) return false;
  learn_local(address_at(packet.data() + (is_v4 ? 16 : 24), is_v4));
  learn_remote(address_at(packet.data() + (is_v4 ? 12 : 8), is_v4));
  std::vector<uint8_t> bytes(kEthernetHeader + packet.size());
  std::memcpy(bytes.data(), kOurMac.bytes.data(), 6);
  std::memcpy(bytes.data() + 6, kPeerMac.bytes.data(), 6);
  bytes[12] = is_v4 ? 0x08 : 0x86;
  bytes[13] = is_v4 ? 0x00 : 0xdd;
  std::memcpy(bytes.data() + kEthernetHeader, packet.data(), packet.size());
  net::PacketPtr p = pool_.allocate();
  if (p == nullptr) return false;
  p->assign(bytes);
  net::Frame frame;
  frame.push(std::move(p));
  receive(std::move(frame));
  return true;
}

std::optional<Wire::Sent> Wire::take() {
  if (sent_.empty()) return std::nullopt;
  Sent s = std::move(sent_.front());
  sent_.pop_front();
  return s;
}

void Wire::send(net::Frame&& frame) {
  for (net::Packet* p : frame.packets()) {
    std::vector<uint8_t> bytes(p->size());
    p->copy_out(0, bytes);
    const auto packet = std::span<const uint8_t>(bytes).subspan(kEthernetHeader);
    if (!is_ours_to_know(packet)) continue;
    if (sent_.size() >= kMostWaiting) {
      count_tx_error();
      continue;
    }
    sent_.push_back({loop().now(), {packet.begin(), packet.end()}});
  }
}

// Scripts are about transport: neighbour discovery and group reports are this wire's own affair.
bool Wire::is_ours_to_know(std::span<const uint8_t> packet) const {
  if (packet.empty()) return false;
  if (packet[0] >> 4 == 4) return packet.size() >= 20 && packet[9] != 2;
  if (packet[0] >> 4 != 6 || packet.size() <= 40) return false;
  constexpr uint8_t kHopByHop = 0, kIcmp6 = 58, kFirstDiscovery = 130, kLastDiscovery = 143;
  if (packet[6] == kHopByHop) return false;  // Group reports.
  const bool is_discovery =
      packet[6] == kIcmp6 && packet[40] >= kFirstDiscovery && packet[40] <= kLastDiscovery;
  return !is_discovery;
}

}  // namespace wh::packetdrill
