// Places in hash tables of keys that strangers choose, and could choose alike but for the key.
#pragma once

#include <cstring>

#include "core/siphash.h"
#include "net/address.h"

namespace wh::vnet {

inline size_t address_hash(const SipKey& key, const net::IpAddress& a, uint64_t rest) {
  uint64_t words[2];
  std::memcpy(words, a.bits.bytes.data(), 16);
  return table_hash(key, {words[0], words[1], rest});
}

inline size_t address_hash(const SipKey& key, const net::IpAddress& a, const net::IpAddress& b,
                           uint64_t rest) {
  uint64_t words[4];
  std::memcpy(words, a.bits.bytes.data(), 16);
  std::memcpy(words + 2, b.bits.bytes.data(), 16);
  return table_hash(key, {words[0], words[1], words[2], words[3], rest});
}

}  // namespace wh::vnet
