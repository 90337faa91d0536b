// Bits that nobody can guess: what the secrets of a stack that strangers reach are made of (initial
// sequence numbers, SYN cookies, the keys of hash tables).
#pragma once

#include <sys/random.h>

#include <cstdint>

#include "core/check.h"
#include "host/system.h"

namespace wh::host {

// 64 bits of the kernel's (getrandom(2)).
inline uint64_t entropy() {
  uint64_t bits = 0;
  const ssize_t n = uninterrupted([&] { return ::getrandom(&bits, sizeof bits, 0); });
  CHECK_EQ(n, static_cast<ssize_t>(sizeof bits));
  return bits;
}

}  // namespace wh::host
