// SYN cookies: an initial sequence number that remembers a SYN, so that the stack need not (RFC
// 4987 section 3.6).
//
//   31            8 7         3 2      0
//   | keyed hash    | time slot | MSS  |
//
// The hash covers both endpoints, the peer's sequence number, the slot and the segment size. A slot
// is 64 s; a cookie is good in the slot it was made in and in the next. Window scale, SACK and
// timestamps are lost with it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "net/seq.h"
#include "tcp/siphash.h"
#include "tcp/types.h"

namespace wh::tcp {

class CookieJar {
 public:
  explicit CookieJar(SipKey key) : key_(key) {}

  net::SeqNum bake(const Endpoint& local, const Endpoint& remote, net::SeqNum irs,
                   uint16_t peer_mss, Instant now) const {
    uint32_t index = 0;
    while (index + 1 < kSizes.size() && kSizes[index + 1] <= peer_mss) ++index;
    return net::SeqNum(make(local, remote, irs, slot(now), index));
  }
  // The peer's segment size when `cookie` is one of ours for these endpoints and not too old.
  std::optional<uint16_t> check(const Endpoint& local, const Endpoint& remote, net::SeqNum irs,
                                net::SeqNum cookie, Instant now) const {
    const uint32_t index = cookie.value() & 7;
    for (uint32_t age = 0; age < 2; ++age) {
      const uint32_t when = (slot(now) - age) & 31;
      if (make(local, remote, irs, when, index) == cookie.value()) return kSizes[index];
    }
    return std::nullopt;
  }

 private:
  // Rounded down to; the first is the least of net.inet.tcp.minmss.
  static constexpr std::array<uint16_t, 8> kSizes = {64, 216, 536, 1220, 1400, 1440, 1460, 8940};

  static uint32_t slot(Instant now) {
    return static_cast<uint32_t>(now.time_since_epoch() / 64s) & 31;
  }
  uint32_t make(const Endpoint& local, const Endpoint& remote, net::SeqNum irs, uint32_t when,
                uint32_t index) const {
    const uint64_t hash = siphash(key_, {fingerprint(local, 0), fingerprint(remote, 1),
                                         uint64_t{irs.value()} << 8 | uint64_t{when} << 3 | index});
    return (static_cast<uint32_t>(hash) & ~uint32_t{0xff}) | when << 3 | index;
  }
  uint64_t fingerprint(const Endpoint& e, uint64_t which) const {
    uint64_t high, low;
    std::memcpy(&high, e.address.bits.bytes.data(), 8);
    std::memcpy(&low, e.address.bits.bytes.data() + 8, 8);
    return siphash(key_, {high, low, uint64_t{e.port} << 1 | which});
  }

  SipKey key_;
};

}  // namespace wh::tcp
