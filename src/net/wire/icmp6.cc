#include "net/wire/icmp6.h"

namespace wh::net {
namespace {

// Options of neighbour discovery (RFC 4861 section 4.6): type, length in units of eight bytes,
// value.
constexpr uint8_t kSourceMac = 1, kTargetMac = 2, kPrefix = 3, kMtu = 5;
constexpr uint32_t kPrefixOptionSize = 32;
constexpr uint32_t kNeighbourSize = 24, kRouterSolicitationSize = 8, kRouterAdvertisementSize = 16;

// Where the options of a message begin, 0 when its type has none.
uint32_t options_offset(Icmp6Type type) {
  switch (type) {
    case Icmp6Type::RouterSolicitation: return kRouterSolicitationSize;
    case Icmp6Type::RouterAdvertisement: return kRouterAdvertisementSize;
    case Icmp6Type::NeighbourSolicitation:
    case Icmp6Type::NeighbourAdvertisement: return kNeighbourSize;
    default: return 0;
  }
}

bool are_options_sound(std::span<const uint8_t> options) {
  while (!options.empty()) {
    if (options.size() < 8) return false;
    const size_t length = options[1] * size_t{8};
    if (length == 0 || length > options.size()) return false;
    options = options.subspan(length);
  }
  return true;
}

// Calls fn(type, option) for each option, `option` whole. REQUIRES: they are sound.
template <class Fn>
void for_each_option(std::span<const uint8_t> options, Fn fn) {
  while (!options.empty()) {
    const size_t length = options[1] * size_t{8};
    fn(options[0], options.first(length));
    options = options.subspan(length);
  }
}

MacAddress mac_at(const uint8_t* at) {
  MacAddress mac;
  std::memcpy(mac.bytes.data(), at, 6);
  return mac;
}

Ip6 address_at(const uint8_t* at) {
  Ip6 a;
  std::memcpy(a.bytes.data(), at, 16);
  return a;
}

uint8_t* put_mac(uint8_t* at, uint8_t option, const std::optional<MacAddress>& mac) {
  if (!mac) return at;
  at[0] = option;
  at[1] = 1;
  std::memcpy(at + 2, mac->bytes.data(), 6);
  return at + 8;
}

// Writes the common eight bytes and the target of a neighbour message; returns where options go.
uint8_t* put_neighbour(std::span<uint8_t> out, Icmp6Type type, uint32_t rest, const Ip6& target) {
  Icmp6Header{type, 0, 0, rest}.emit(out);
  std::memcpy(out.data() + 8, target.bytes.data(), 16);
  return out.data() + kNeighbourSize;
}

uint32_t count32(int64_t n) {
  CHECK(n >= 0 && n <= 0xffffffff);
  return static_cast<uint32_t>(n);
}

uint8_t* put_prefix(uint8_t* at, const PrefixInformation& p) {
  at[0] = kPrefix;
  at[1] = kPrefixOptionSize / 8;
  at[2] = p.length;
  at[3] = static_cast<uint8_t>((p.on_link ? 0x80 : 0) | (p.autonomous ? 0x40 : 0));
  store32(at + 4, count32(p.valid_lifetime.count()));
  store32(at + 8, count32(p.preferred_lifetime.count()));
  store32(at + 12, 0);
  std::memcpy(at + 16, p.prefix.bytes.data(), 16);
  return at + kPrefixOptionSize;
}

PrefixInformation prefix_at(const uint8_t* at) {
  return {address_at(at + 16),
          at[2],
          (at[3] & 0x80) != 0,
          (at[3] & 0x40) != 0,
          std::chrono::seconds(load32(at + 4)),
          std::chrono::seconds(load32(at + 8))};
}

}  // namespace

Parsed<Icmp6View, Icmp6Fault> Icmp6View::parse(std::span<const uint8_t> message) {
  if (message.size() < Icmp6Header::kSize) return Icmp6Fault::Truncated;
  const Icmp6View icmp(message);
  if (icmp.is_error() && !Ip6View::parse_quoted(icmp.payload())) return Icmp6Fault::BadQuote;
  if (const uint32_t at = options_offset(icmp.type()); at != 0) {
    if (message.size() < at) return Icmp6Fault::Truncated;
    if (!are_options_sound(message.subspan(at))) return Icmp6Fault::BadOptions;
  }
  return icmp;
}

std::optional<MacAddress> Icmp6View::find_mac(uint32_t options_at, uint8_t option) const {
  std::optional<MacAddress> found;
  for_each_option(head_.subspan(options_at), [&](uint8_t type, std::span<const uint8_t> bytes) {
    if (type == option && !found) found = mac_at(bytes.data() + 2);
  });
  return found;
}

NeighbourSolicitation Icmp6View::neighbour_solicitation() const {
  CHECK(type() == Icmp6Type::NeighbourSolicitation);
  return {address_at(head_.data() + 8), find_mac(kNeighbourSize, kSourceMac)};
}

NeighbourAdvertisement Icmp6View::neighbour_advertisement() const {
  CHECK(type() == Icmp6Type::NeighbourAdvertisement);
  const uint8_t flags = head_[4];
  return {address_at(head_.data() + 8), (flags & 0x80) != 0, (flags & 0x40) != 0,
          (flags & 0x20) != 0, find_mac(kNeighbourSize, kTargetMac)};
}

RouterSolicitation Icmp6View::router_solicitation() const {
  CHECK(type() == Icmp6Type::RouterSolicitation);
  return {find_mac(kRouterSolicitationSize, kSourceMac)};
}

RouterAdvertisement Icmp6View::router_advertisement() const {
  CHECK(type() == Icmp6Type::RouterAdvertisement);
  const uint8_t* at = head_.data();
  RouterAdvertisement ra;
  ra.hop_limit = at[4];
  ra.managed = (at[5] & 0x80) != 0;
  ra.other_config = (at[5] & 0x40) != 0;
  ra.router_lifetime = std::chrono::seconds(load16(at + 6));
  ra.reachable_time = std::chrono::milliseconds(load32(at + 8));
  ra.retransmit_timer = std::chrono::milliseconds(load32(at + 12));
  ra.source_mac = find_mac(kRouterAdvertisementSize, kSourceMac);
  auto take = [&](uint8_t type, std::span<const uint8_t> option) {
    if (type == kMtu) ra.mtu = load32(option.data() + 4);
    if (type == kPrefix && option.size() == kPrefixOptionSize &&
        ra.prefix_count < RouterAdvertisement::kMaxPrefixes) {
      ra.prefixes[ra.prefix_count++] = prefix_at(option.data());
    }
  };
  for_each_option(head_.subspan(kRouterAdvertisementSize), take);
  return ra;
}

void NeighbourSolicitation::emit(std::span<uint8_t> out) const {
  CHECK(out.size() >= size());
  put_mac(put_neighbour(out, Icmp6Type::NeighbourSolicitation, 0, target), kSourceMac, source_mac);
}

void NeighbourAdvertisement::emit(std::span<uint8_t> out) const {
  CHECK(out.size() >= size());
  const uint32_t flags =
      (router ? 1u << 31 : 0) | (solicited ? 1u << 30 : 0) | (override ? 1u << 29 : 0);
  put_mac(put_neighbour(out, Icmp6Type::NeighbourAdvertisement, flags, target), kTargetMac,
          target_mac);
}

void RouterSolicitation::emit(std::span<uint8_t> out) const {
  CHECK(out.size() >= size());
  Icmp6Header{Icmp6Type::RouterSolicitation, 0, 0, 0}.emit(out);
  put_mac(out.data() + kRouterSolicitationSize, kSourceMac, source_mac);
}

void RouterAdvertisement::emit(std::span<uint8_t> out) const {
  CHECK(prefix_count <= kMaxPrefixes && out.size() >= size());
  const uint32_t lifetime = count32(router_lifetime.count());
  CHECK(lifetime <= 0xffff);
  const uint32_t flags = (managed ? 0x80u : 0) | (other_config ? 0x40u : 0);
  Icmp6Header{Icmp6Type::RouterAdvertisement, 0, 0,
              uint32_t{hop_limit} << 24 | flags << 16 | lifetime}
      .emit(out);
  store32(out.data() + 8, count32(reachable_time.count()));
  store32(out.data() + 12, count32(retransmit_timer.count()));
  uint8_t* at = put_mac(out.data() + kRouterAdvertisementSize, kSourceMac, source_mac);
  if (mtu) {
    at[0] = kMtu;
    at[1] = 1;
    store16(at + 2, 0);
    store32(at + 4, *mtu);
    at += 8;
  }
  for (uint32_t i = 0; i < prefix_count; ++i) at = put_prefix(at, prefixes[i]);
}

}  // namespace wh::net
