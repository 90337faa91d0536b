#include "net/wire/dhcp.h"

#include <fmt/format.h>

#include <algorithm>

namespace wh::net {
namespace {

constexpr uint32_t kCookie = 0x63825363;  // RFC 2131 section 3.
constexpr size_t kMinMessage = 300;
constexpr uint8_t kPad = 0, kEndOption = 255, kMask = 1, kRouter = 3, kDns = 6, kRequested = 50,
                  kLease = 51, kType = 53, kServer = 54, kRenew = 58, kRebind = 59, kClientId = 61,
                  kRelayInfo = 82;

void put(std::vector<uint8_t>& out, uint8_t code, std::span<const uint8_t> bytes) {
  out.push_back(code);
  out.push_back(static_cast<uint8_t>(bytes.size()));
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void put(std::vector<uint8_t>& out, uint8_t code, std::optional<uint32_t> value) {
  if (!value) return;
  uint8_t bytes[4];
  store32(bytes, *value);
  put(out, code, std::span<const uint8_t>(bytes));
}
void put(std::vector<uint8_t>& out, uint8_t code, std::optional<Ip4> address) {
  if (address) put(out, code, std::optional(address->value));
}

// One option into the message. False when its length is not what its code demands.
bool take_option(DhcpMessage& m, uint8_t code, std::span<const uint8_t> bytes, bool& has_type) {
  auto number = [&](std::optional<uint32_t>& out) {
    if (bytes.size() != 4) return false;
    out = load32(bytes.data());
    return true;
  };
  auto address = [&](std::optional<Ip4>& out) {
    if (bytes.size() < 4 || bytes.size() % 4 != 0) return false;
    out = Ip4{load32(bytes.data())};  // The first of several is the one preferred.
    return true;
  };
  switch (code) {
    case kMask: return address(m.mask);
    case kRouter: return address(m.router);
    case kRequested: return address(m.requested);
    case kServer: return address(m.server);
    case kLease: return number(m.lease_s);
    case kRenew: return number(m.renew_s);
    case kRebind: return number(m.rebind_s);
    case kDns:
      if (bytes.size() % 4 != 0) return false;
      for (size_t i = 0; i < bytes.size() && m.dns.size() < DhcpMessage::kMaxServers; i += 4) {
        m.dns.push_back({load32(bytes.data() + i)});
      }
      return true;
    case kType:
      if (bytes.size() != 1 || bytes[0] < 1 || bytes[0] > 8) return false;
      m.type = static_cast<DhcpType>(bytes[0]);
      has_type = true;
      return true;
    case kClientId: m.client_id.assign(bytes.begin(), bytes.end()); return !bytes.empty();
    case kRelayInfo: m.relay_info.assign(bytes.begin(), bytes.end()); return true;
    default: return true;
  }
}

}  // namespace

const char* to_string(DhcpType type) {
  constexpr const char* kNames[] = {"Discover", "Offer", "Request", "Decline",
                                    "Ack",      "Nak",   "Release", "Inform"};
  return kNames[static_cast<size_t>(type) - 1];
}

Parsed<DhcpMessage, DhcpFault> DhcpMessage::parse(std::span<const uint8_t> bytes) {
  if (bytes.size() < kFixedSize) return DhcpFault::Truncated;
  const uint8_t* at = bytes.data();
  DhcpMessage m;
  if (at[0] != 1 && at[0] != 2) return DhcpFault::BadOperation;
  if (at[1] != 1 || at[2] != 6) return DhcpFault::BadHardware;  // Ethernet.
  m.is_reply = at[0] == 2;
  m.hops = at[3];
  m.xid = load32(at + 4);
  m.secs = load16(at + 8);
  m.broadcast = (at[10] & 0x80) != 0;
  m.client = {load32(at + 12)};
  m.yours = {load32(at + 16)};
  m.next_server = {load32(at + 20)};
  m.relay = {load32(at + 24)};
  std::copy_n(at + 28, 6, m.mac.bytes.begin());
  if (load32(at + 236) != kCookie) return DhcpFault::NoCookie;
  bool has_type = false;
  for (auto options = bytes.subspan(kFixedSize); !options.empty() && options[0] != kEndOption;) {
    if (options[0] == kPad) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options.size() < 2u + options[1]) return DhcpFault::BadOptions;
    if (!take_option(m, options[0], options.subspan(2, options[1]), has_type)) {
      return DhcpFault::BadOptions;
    }
    options = options.subspan(2u + options[1]);
  }
  if (!has_type) return DhcpFault::NoType;
  return m;
}

std::vector<uint8_t> DhcpMessage::emit() const {
  std::vector<uint8_t> out(kFixedSize);
  uint8_t* at = out.data();
  at[0] = is_reply ? 2 : 1;
  at[1] = 1;
  at[2] = 6;
  at[3] = hops;
  store32(at + 4, xid);
  store16(at + 8, secs);
  at[10] = broadcast ? 0x80 : 0;
  store32(at + 12, client.value);
  store32(at + 16, yours.value);
  store32(at + 20, next_server.value);
  store32(at + 24, relay.value);
  std::copy(mac.bytes.begin(), mac.bytes.end(), at + 28);
  store32(at + 236, kCookie);
  const uint8_t type_byte = static_cast<uint8_t>(type);
  put(out, kType, std::span(&type_byte, 1));
  put(out, kServer, server);
  put(out, kRequested, requested);
  put(out, kLease, lease_s);
  put(out, kRenew, renew_s);
  put(out, kRebind, rebind_s);
  put(out, kMask, mask);
  put(out, kRouter, router);
  if (!dns.empty()) {
    std::vector<uint8_t> servers(4 * dns.size());
    for (size_t i = 0; i < dns.size(); ++i) store32(servers.data() + 4 * i, dns[i].value);
    put(out, kDns, servers);
  }
  if (!client_id.empty()) put(out, kClientId, client_id);
  if (!relay_info.empty()) put(out, kRelayInfo, relay_info);
  out.push_back(kEndOption);
  if (out.size() < kMinMessage) out.resize(kMinMessage);
  return out;
}

std::string to_string(const DhcpMessage& m) {
  return fmt::format("DHCP {}, xid 0x{:08x}, client {}", to_string(m.type), m.xid,
                     to_string(m.mac));
}

}  // namespace wh::net
