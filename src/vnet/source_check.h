// Unicast reverse path forwarding: whether a packet's source must be one that a route leads back
// to.
#pragma once

#include <array>
#include <cstdint>

namespace wh::vnet {

// Whether a packet's source must be one that leads back (unicast RPF, RFC 3704).
enum class SourceCheck : uint8_t {
  Off,
  Loose,   // By any interface.
  Strict,  // By the interface it came by.
};
using SourceChecks = std::array<SourceCheck, 2>;  // By family.

}  // namespace wh::vnet
