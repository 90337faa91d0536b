// DHCPv4 messages (RFC 2131, RFC 2132): the fixed part, and the options that this house knows.
//
//   op 1 | htype 1 | hlen 1 | hops 1 | xid 4 | secs 2 | flags 2 | ciaddr 4 | yiaddr 4 | siaddr 4 |
//   giaddr 4 | chaddr 16 | sname 64 | file 128 | cookie 4 | options, each: code 1, length 1, bytes
//
// A message is small and read once, so there is no view: parse() copies what it knows into a value
// and skips the rest. Options that overflow into sname and file are not looked for there.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/wire/wire.h"

namespace wh::net {

constexpr uint16_t kDhcpServerPort = 67, kDhcpClientPort = 68;

enum class DhcpType : uint8_t {
  Discover = 1,
  Offer,
  Request,
  Decline,
  Ack,
  Nak,
  Release,
  Inform,
};
const char* to_string(DhcpType type);

enum class DhcpFault : uint8_t {
  Truncated,
  BadOperation,
  BadHardware,
  NoCookie,
  BadOptions,
  NoType
};
inline constexpr std::array kDhcpFaultNames = {"dhcp truncated",    "dhcp bad operation",
                                               "dhcp bad hardware", "dhcp no cookie",
                                               "dhcp bad options",  "dhcp no message type"};

struct DhcpMessage {
  static constexpr uint32_t kFixedSize = 240;  // Up to and with the cookie.
  static constexpr size_t kMaxServers = 4;     // Of DNS; further ones are skipped.

  bool is_reply = false;  // op: BOOTREPLY.
  uint8_t hops = 0;
  uint32_t xid = 0;
  uint16_t secs = 0;
  bool broadcast = false;                 // Flag: the client cannot be reached by unicast yet.
  Ip4 client, yours, next_server, relay;  // ciaddr, yiaddr, siaddr, giaddr.
  MacAddress mac;                         // chaddr.
  DhcpType type = DhcpType::Discover;
  std::optional<Ip4> requested, server, mask, router;
  std::vector<Ip4> dns;
  std::optional<uint32_t> lease_s, renew_s, rebind_s;
  std::vector<uint8_t> client_id;   // Empty: the MAC address stands for it.
  std::vector<uint8_t> relay_info;  // Option 82, which a server gives back as it is (RFC 3046).
  bool operator==(const DhcpMessage&) const = default;

  static Parsed<DhcpMessage, DhcpFault> parse(std::span<const uint8_t> bytes);
  // At least 300 bytes, as BOOTP relays expect.
  std::vector<uint8_t> emit() const;
};

// "DHCP Discover, xid 0x1234, client 02:00:00:00:00:01"
std::string to_string(const DhcpMessage& m);

}  // namespace wh::net
