// What tests that look into packets share.
#pragma once

#include <vector>

#include "net/packet.h"

namespace wh::net {

// All of a packet, head and slices.
inline std::vector<uint8_t> bytes_of(const Packet& packet) {
  std::vector<uint8_t> bytes(packet.size());
  packet.copy_out(0, bytes);
  return bytes;
}

}  // namespace wh::net
