// Words that stand for values of packets: protocols, ranges of ports, code points.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "vnet/acl.h"

namespace wh::router {

// A number to 255, or tcp, udp, icmp, icmp6. Error: the word, and what would be one.
Result<uint8_t> parse_protocol(std::string_view word);
std::string protocol_name(uint8_t protocol);  // In upper case, as `show` prints it.

// "80" or "80-443". Error: as above; a range that ends before it begins.
Result<vnet::PortRange> parse_ports(std::string_view word);
std::string to_string(const vnet::PortRange& ports);

// 0..63, CS0 to CS7, AF11 to AF43, EF (RFC 2474, RFC 2597, RFC 3246). Error: as above.
Result<uint8_t> parse_dscp(std::string_view word);

}  // namespace wh::router
