#include "router/values.h"

#include <charconv>
#include <optional>

#include "net/ip_service.h"

namespace wh::router {

namespace {

struct NamedProtocol {
  const char *name, *shown;
  uint8_t number;
};
constexpr NamedProtocol kProtocols[] = {{"icmp", "ICMP", net::kProtocolIcmp},
                                        {"tcp", "TCP", net::kProtocolTcp},
                                        {"udp", "UDP", net::kProtocolUdp},
                                        {"icmp6", "ICMP6", net::kProtocolIcmp6}};

// The whole word as a number of that type.
template <class Number>
std::optional<Number> whole_number(std::string_view word) {
  Number value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

Result<uint8_t> parse_protocol(std::string_view word) {
  for (const NamedProtocol& p : kProtocols) {
    if (p.name == word) return p.number;
  }
  if (const auto number = whole_number<uint8_t>(word)) return *number;
  return fail("'{}' is not a protocol; accepted: tcp, udp, icmp, icmp6, a number from 0 to 255",
              word);
}

std::string protocol_name(uint8_t protocol) {
  for (const NamedProtocol& p : kProtocols) {
    if (p.number == protocol) return p.shown;
  }
  return std::to_string(protocol);
}

Result<vnet::PortRange> parse_ports(std::string_view word) {
  const size_t dash = word.find('-');
  const auto first = whole_number<uint16_t>(word.substr(0, dash));
  const auto last =
      dash == std::string_view::npos ? first : whole_number<uint16_t>(word.substr(dash + 1));
  if (!first || !last || *last < *first) {
    return fail("'{}' is no port or range of ports; accepted: 80 or 80-443, up to 65535", word);
  }
  return vnet::PortRange{*first, *last};
}

std::string to_string(const vnet::PortRange& ports) {
  if (ports.first == ports.last) return std::to_string(ports.first);
  return fmt::format("{}-{}", ports.first, ports.last);
}

Result<uint8_t> parse_dscp(std::string_view word) {
  if (const auto number = whole_number<uint8_t>(word); number && *number < 64) return *number;
  auto digit = [&](size_t at) { return static_cast<uint8_t>(word[at] - '0'); };
  if (word == "EF") return uint8_t{46};
  if (word.size() == 3 && word.starts_with("CS") && digit(2) < 8) {
    return static_cast<uint8_t>(digit(2) * 8);
  }
  const bool is_assured = word.size() == 4 && word.starts_with("AF") && digit(2) >= 1 &&
                          digit(2) <= 4 && digit(3) >= 1 && digit(3) <= 3;
  if (is_assured) return static_cast<uint8_t>(digit(2) * 8 + digit(3) * 2);
  return fail("'{}' is no DSCP; accepted: 0 to 63, CS0 to CS7, AF11 to AF43, EF", word);
}

}  // namespace wh::router
