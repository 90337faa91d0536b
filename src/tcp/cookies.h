// SYN cookies: an initial sequence number that remembers a SYN, so that the stack need not (RFC
// 4987 section 3.6).
//
//   31            8 7      6      5     3 2   0
//   | keyed hash    | slot | SACK | scale | MSS |
//
// The hash covers both endpoints, the peer's sequence number, the time slot and the other bits. A
// slot is 64 s; a cookie is good in the slot it was made in and in the next, which its last bit
// tells apart. Segment size and window scale are rounded down to what three bits can say, as
// FreeBSD's are; timestamps are agreed on when the peer's next segment has them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/siphash.h"
#include "net/seq.h"
#include "net/wire/tcp.h"
#include "tcp/types.h"

namespace wh::tcp {

class CookieJar {
 public:
  explicit CookieJar(SipKey key) : key_(key) {}

  // Of what the peer offers its segment size, window scale and SACK are kept. REQUIRES: a size.
  net::SeqNum bake(const Endpoint& local, const Endpoint& remote, net::SeqNum irs,
                   const net::TcpOptions& offered, Instant now) const {
    const uint32_t scale =
        offered.window_scale ? 1 + last_within(kScales, *offered.window_scale) : 0;
    const uint32_t bits = uint32_t{offered.sack_permitted} << 6 | scale << 3 |
                          last_within(kSizes, offered.mss.value());
    return net::SeqNum(make(local, remote, irs, slot(now), bits));
  }
  // What the peer offered when `cookie` is one of ours for these endpoints and not too old.
  std::optional<net::TcpOptions> check(const Endpoint& local, const Endpoint& remote,
                                       net::SeqNum irs, net::SeqNum cookie, Instant now) const {
    const uint32_t bits = cookie.value() & kBits;
    for (uint64_t age = 0; age < 2 && age <= slot(now); ++age) {
      if (make(local, remote, irs, slot(now) - age, bits) != cookie.value()) continue;
      net::TcpOptions offered;
      offered.mss = kSizes[bits & 7];
      if (const uint32_t scale = bits >> 3 & 7; scale != 0)
        offered.window_scale = kScales[scale - 1];
      offered.sack_permitted = bits >> 6 != 0;
      return offered;
    }
    return std::nullopt;
  }

 private:
  static constexpr uint32_t kBits = 0x7f;
  // Sizes below the first are no peer's (net.inet.tcp.minmss).
  static constexpr std::array<uint16_t, 8> kSizes = {64, 216, 536, 1200, 1360, 1400, 1440, 1460};
  static constexpr std::array<uint8_t, 7> kScales = {0, 1, 2, 4, 6, 7, 8};

  // The index of the last that is not above `value`; 0 when all are.
  template <class T, size_t N>
  static uint32_t last_within(const std::array<T, N>& rising, T value) {
    uint32_t index = 0;
    while (index + 1 < N && rising[index + 1] <= value) ++index;
    return index;
  }
  static uint64_t slot(Instant now) { return static_cast<uint64_t>(now.time_since_epoch() / 64s); }
  uint32_t make(const Endpoint& local, const Endpoint& remote, net::SeqNum irs, uint64_t when,
                uint32_t bits) const {
    const uint64_t hash =
        siphash(key_, {fingerprint(local, 0), fingerprint(remote, 1),
                       uint64_t{irs.value()} << 32 | static_cast<uint32_t>(when << 7 | bits)});
    const auto parity = static_cast<uint32_t>(when & 1);
    return (static_cast<uint32_t>(hash) & ~uint32_t{0xff}) | parity << 7 | bits;
  }
  uint64_t fingerprint(const Endpoint& e, uint64_t which) const {
    uint64_t high, low;
    std::memcpy(&high, e.address.bits.bytes.data(), 8);
    std::memcpy(&low, e.address.bits.bytes.data() + 8, 8);
    return siphash(key_, {high, low, uint64_t{e.table} << 32 | uint64_t{e.port} << 1 | which});
  }

  SipKey key_;
};

}  // namespace wh::tcp
