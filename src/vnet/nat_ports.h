// Which ports of outside addresses are in use, by protocol: bits, so that a free one is found among
// any number of taken ones by a look at a thousand words.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "core/check.h"
#include "net/address.h"
#include "net/ip_service.h"

namespace wh::vnet {

class NatPorts {
 public:
  static constexpr uint32_t kFirst = 1024;  // Of those that are chosen.

  // REQUIRES: it was not.
  void take(uint8_t protocol, net::Ip4 address, uint16_t port) {
    Ports& p = ports_[key(protocol, address)];
    CHECK((p.taken[port / 64] & bit(port)) == 0);
    p.taken[port / 64] |= bit(port);
    ++p.count;
  }
  // REQUIRES: it was taken.
  void give_back(uint8_t protocol, net::Ip4 address, uint16_t port) {
    const auto it = ports_.find(key(protocol, address));
    CHECK(it != ports_.end() && (it->second.taken[port / 64] & bit(port)) != 0);
    it->second.taken[port / 64] ^= bit(port);
    if (--it->second.count == 0) ports_.erase(it);
  }
  bool is_free(uint8_t protocol, net::Ip4 address, uint16_t port) const {
    const auto it = ports_.find(key(protocol, address));
    return it == ports_.end() || (it->second.taken[port / 64] & bit(port)) == 0;
  }
  // Whether a port of the address is taken, by any of the protocols that have some.
  bool has(net::Ip4 address) const {
    return std::any_of(std::begin(kWithPorts), std::end(kWithPorts),
                       [&](uint8_t protocol) { return ports_.contains(key(protocol, address)); });
  }
  // The first free port from `from` on, or else from kFirst on. REQUIRES: from >= kFirst.
  std::optional<uint16_t> find_free(uint8_t protocol, net::Ip4 address, uint16_t from) const {
    const auto it = ports_.find(key(protocol, address));
    if (it == ports_.end()) return from;
    const auto behind = free_between(it->second, from, 0x10000);
    return behind ? behind : free_between(it->second, kFirst, from);
  }

 private:
  struct Ports {
    std::array<uint64_t, 1024> taken{};
    uint32_t count = 0;
  };
  static constexpr uint8_t kWithPorts[] = {net::kProtocolIcmp, net::kProtocolTcp,
                                           net::kProtocolUdp};
  static uint64_t key(uint8_t protocol, net::Ip4 address) {
    return uint64_t{protocol} << 32 | address.value;
  }
  static uint64_t bit(uint16_t port) { return uint64_t{1} << port % 64; }
  static std::optional<uint16_t> free_between(const Ports& p, uint32_t begin, uint32_t end) {
    for (uint32_t at = begin; at < end; at = (at | 63) + 1) {
      const uint64_t free = ~p.taken[at / 64] >> at % 64;
      if (free == 0) continue;
      const uint32_t port = at + static_cast<uint32_t>(std::countr_zero(free));
      if (port >= end) return std::nullopt;
      return static_cast<uint16_t>(port);
    }
    return std::nullopt;
  }

  std::unordered_map<uint64_t, Ports> ports_;
};

}  // namespace wh::vnet
