// Linux's struct tcp_info, filled from a connection of ours: what scripts assert on as tcpi_*.
// Counts are in segments of the connection's MSS and times in microseconds, as Linux has them.
#pragma once

#include <linux/tcp.h>

#include "tcp/connection.h"

namespace wh::packetdrill {

// Linux's numbers for the states of RFC 9293; 10 is LISTEN.
uint8_t linux_state(tcp::State state);
constexpr uint8_t kLinuxListen = 10;

tcp_info linux_info(const tcp::Connection& connection, Instant now);

}  // namespace wh::packetdrill
