// Interfaces, addresses and routes of the Linux kernel, through one rtnetlink socket (RFC 3549).
//
// The socket belongs to the network namespace that it was made in (Netns::netlink()), and so does
// everything asked of it. Interfaces are named; each call is one request and its acknowledgment.
// Errors name what was asked, what the kernel answered, and its explanation if it gave one:
// "add address 10.0.0.1/24 to tap0: File exists (Address already assigned)".
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "host/fd.h"
#include "net/address.h"

namespace wh::host {

class NetlinkRequest;

struct LinkInfo {
  uint32_t index = 0;
  std::string name;
  net::MacAddress mac;
  uint32_t mtu = 0;
  bool is_up = false;
  bool has_carrier = false;  // And is up.
  std::string kind;          // "veth", "tun" (a TAP, too); "" of hardware.
  bool has_link = false;     // A carrier, up or not: of a TAP, that a process has it.
};

class Rtnetlink {
 public:
  static Result<Rtnetlink> open();            // For the calling process' namespace.
  static Result<Rtnetlink> adopt(Fd socket);  // That one, opened elsewhere, has released.
  Fd release() && { return std::move(socket_); }

  Result<std::vector<LinkInfo>> links();
  Result<LinkInfo> link(const std::string& name);
  Result<LinkInfo> link(uint32_t index);

  // From now on, fd() is readable when any link has changed. Which, is not told: whoever waits
  // calls forget_changes() and then asks for what it wants to know.
  Result<void> hear_changes();
  int fd() const { return socket_.raw(); }
  void forget_changes();

  Result<void> set_up(const std::string& link, bool up = true);
  Result<void> set_promiscuous(const std::string& link, bool on = true);
  Result<void> set_mtu(const std::string& link, uint32_t mtu);
  Result<void> set_mac(const std::string& link, const net::MacAddress& mac);
  // Into the namespace that the descriptor refers to.
  Result<void> move_link(const std::string& link, int netns_fd);
  Result<void> delete_link(const std::string& link);
  // Two interfaces joined by a cable. The peer is made in the namespace of `peer_netns_fd`; -1:
  // here.
  Result<void> add_veth(const std::string& name, const std::string& peer, int peer_netns_fd = -1);

  // IPv6 addresses are usable at once: duplicate detection is left out.
  Result<void> add_address(const std::string& link, const net::Prefix& address);
  Result<void> add_route(const net::Prefix& destination, const net::IpAddress& gateway);
  Result<void> add_route(const net::Prefix& destination, const std::string& link);
  Result<void> delete_route(const net::Prefix& destination);
  // A permanent entry of the neighbour table, so that nobody is asked.
  Result<void> add_neighbour(const std::string& link, const net::IpAddress& address,
                             const net::MacAddress& mac);

  // What the kernel's stack may leave to the device, all together: checksums, TSO, GSO and GRO.
  Result<void> set_offloads(const std::string& link, bool on);

 private:
  Result<uint32_t> index_of(const std::string& link);
  Result<void> set_flag(const std::string& link, unsigned flag, bool on, std::string_view attempt);
  Result<void> ask(NetlinkRequest& request, std::string_view attempt);
  Result<std::vector<std::vector<uint8_t>>> collect(NetlinkRequest& request);
  Result<void> add_route_with(const net::Prefix& destination, uint16_t attribute,
                              std::span<const uint8_t> value);
  Rtnetlink(Fd socket, uint32_t port) : socket_(std::move(socket)), port_(port) {}
  Fd socket_;
  uint32_t port_;  // The socket's own, to which the kernel answers.
  uint32_t sequence_ = 0;
};

}  // namespace wh::host
