// IPv4 options that every router on the way fills in: record route and Internet timestamp (RFC 791
// section 3.1, RFC 1812 section 5.3.13.5).
//
// A record has places, and a pointer to the next free one. Each router writes the address that the
// packet leaves by, or the time, or both, and moves the pointer on. A record that is full stays as
// it is; a full timestamp counts who found no place. What has some room but too little is in error.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "core/units.h"
#include "net/address.h"

namespace wh::vnet {

struct OptionFiller {
  net::Ip4 own;  // The address that the packet leaves by.
  std::function<bool(net::Ip4)> is_own;
  // Milliseconds. We have no universal time here, which the highest bit says of a timestamp.
  uint32_t now_ms = 0;
};

// Fills in the options of a header that was parsed, and makes its checksum anew. The offset of the
// byte that is in error, for an ICMP parameter problem; 0 when all is well.
uint32_t fill_ip4_options(std::span<uint8_t> header, const OptionFiller& filler);

}  // namespace wh::vnet
