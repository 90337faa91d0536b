#include "host/rtnetlink.h"

#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

#include "host/netlink_message.h"
#include "host/system.h"

namespace wh::host {
namespace {

constexpr unsigned kLowerUp = 1u << 16;  // IFF_LOWER_UP, which <net/if.h> lacks.
constexpr uint16_t kNew = NLM_F_CREATE | NLM_F_EXCL;

uint8_t family_of(const net::IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

std::span<const uint8_t> bytes_of(const net::IpAddress& address) {
  return std::span(address.bits.bytes).first(address.is_v4() ? 4 : 16);
}

ifinfomsg link_message(uint32_t index) {
  ifinfomsg message{};
  message.ifi_family = AF_UNSPEC;
  message.ifi_index = static_cast<int>(index);
  return message;
}

LinkInfo parse_link(std::span<const uint8_t> message) {
  LinkInfo info;
  ifinfomsg fixed;
  if (message.size() < sizeof fixed) return info;
  std::memcpy(&fixed, message.data(), sizeof fixed);
  info.index = static_cast<uint32_t>(fixed.ifi_index);
  info.is_up = (fixed.ifi_flags & IFF_UP) != 0;
  // IFF_RUNNING follows the carrier (RFC 2863's operational state); IFF_LOWER_UP is it.
  info.has_carrier = info.is_up && (fixed.ifi_flags & kLowerUp) != 0;
  for_each_attribute(message.subspan(sizeof fixed), [&](uint16_t type, auto value) {
    if (type == IFLA_IFNAME && !value.empty()) info.name.assign(value.begin(), value.end() - 1);
    if (type == IFLA_ADDRESS && value.size() == 6) {
      std::copy(value.begin(), value.end(), info.mac.bytes.begin());
    }
    if (type == IFLA_CARRIER && value.size() == 1) info.has_link = value[0] != 0;
    if (type == IFLA_LINKINFO) {
      for_each_attribute(value, [&](uint16_t inner, auto kind) {
        if (inner == IFLA_INFO_KIND && !kind.empty())
          info.kind.assign(kind.begin(), kind.end() - 1);
      });
    }
    if (type == IFLA_MTU && value.size() == 4) std::memcpy(&info.mtu, value.data(), 4);
  });
  return info;
}

// The kernel's own words for a refusal, if it found any.
std::string explanation(const nlmsghdr& header, std::span<const uint8_t> message) {
  std::string words;
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return words;
  nlmsgerr error;
  std::memcpy(&error, message.data(), sizeof error);
  // The request is repeated in between, unless capped to its header.
  const size_t repeated = (header.nlmsg_flags & NLM_F_CAPPED) != 0 ? 0
                          : error.msg.nlmsg_len < sizeof error.msg
                              ? 0
                              : error.msg.nlmsg_len - sizeof error.msg;
  const size_t skip = std::min(message.size(), sizeof error + (repeated + 3) / 4 * 4);
  for_each_attribute(message.subspan(skip), [&](uint16_t type, auto value) {
    if (type == NLMSGERR_ATTR_MSG && !value.empty()) words.assign(value.begin(), value.end() - 1);
  });
  return words;
}

}  // namespace

Result<Rtnetlink> Rtnetlink::open() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return os_error("open a netlink socket");
  const int on = 1;
  // Explanations are a comfort; without them the error number still tells.
  ::setsockopt(socket.raw(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  sockaddr_nl any{};  // The kernel chooses the port.
  any.nl_family = AF_NETLINK;
  // Sound: the kernel takes any address by this pointer, and writes a sockaddr_nl by it below.
  if (::bind(socket.raw(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) {
    return os_error("bind a netlink socket");
  }
  return adopt(std::move(socket));
}

Result<Rtnetlink> Rtnetlink::adopt(Fd socket) {
  sockaddr_nl own{};
  socklen_t size = sizeof own;
  if (::getsockname(socket.raw(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return os_error("ask for a netlink socket's port");
  }
  return Rtnetlink(std::move(socket), own.nl_pid);
}

// Sends the request and gathers the answers' messages until the acknowledgment or the end.
Result<std::vector<std::vector<uint8_t>>> Rtnetlink::collect(NetlinkRequest& request) {
  const auto bytes = request.finish(NLM_F_ACK, ++sequence_);
  const ssize_t sent =
      uninterrupted([&] { return ::send(socket_.raw(), bytes.data(), bytes.size(), 0); });
  if (sent < 0) return os_error("send");
  std::vector<std::vector<uint8_t>> answers;
  std::vector<uint8_t> buffer(65536);
  for (;;) {
    sockaddr_nl from{};
    socklen_t size = sizeof from;
    const ssize_t n = uninterrupted([&] {
      return ::recvfrom(socket_.raw(), buffer.data(), buffer.size(), 0,
                        reinterpret_cast<sockaddr*>(&from), &size);
    });
    if (n < 0) return os_error("receive");
    if (from.nl_pid != 0) continue;  // Not the kernel's: another process makes answers up.
    std::span<const uint8_t> rest(buffer.data(), static_cast<size_t>(n));
    while (rest.size() >= sizeof(nlmsghdr)) {
      nlmsghdr header;
      std::memcpy(&header, rest.data(), sizeof header);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size()) break;
      const auto message = rest.subspan(sizeof header, header.nlmsg_len - sizeof header);
      rest = rest.subspan(std::min<size_t>(rest.size(), (header.nlmsg_len + 3u) / 4 * 4));
      // News of what others have changed bear their numbers.
      if (header.nlmsg_seq != sequence_ || header.nlmsg_pid != port_) continue;
      if (header.nlmsg_type == NLMSG_DONE) return answers;
      if (header.nlmsg_type != NLMSG_ERROR || message.size() < sizeof(nlmsgerr)) {
        answers.emplace_back(message.begin(), message.end());
        continue;
      }
      int error = 0;
      std::memcpy(&error, message.data(), sizeof error);
      if (error == 0) return answers;
      const auto code = static_cast<std::errc>(-error);
      std::string text = std::make_error_code(code).message();
      if (const auto words = explanation(header, message); !words.empty()) {
        text += fmt::format(" ({})", words);
      }
      return tl::unexpected(Error{code, text});
    }
  }
}

// `attempt` names the request in the error, if there is one.
Result<void> Rtnetlink::ask(NetlinkRequest& request, std::string_view attempt) {
  auto answers = collect(request);
  if (!answers) return tl::unexpected(std::move(answers).error().within(attempt));
  return {};
}

Result<std::vector<LinkInfo>> Rtnetlink::links() {
  NetlinkRequest request(RTM_GETLINK, NLM_F_DUMP, link_message(0));
  auto answers = collect(request);
  if (!answers) return tl::unexpected(std::move(answers).error().within("list interfaces"));
  std::vector<LinkInfo> links;
  for (const auto& answer : *answers) links.push_back(parse_link(answer));
  return links;
}

Result<LinkInfo> Rtnetlink::link(const std::string& name) {
  NetlinkRequest request(RTM_GETLINK, 0, link_message(0));
  request.add(IFLA_IFNAME, name);
  auto answers = collect(request);
  if (!answers) return tl::unexpected(std::move(answers).error().within("interface " + name));
  CHECK(!answers->empty());
  return parse_link(answers->front());
}

Result<LinkInfo> Rtnetlink::link(uint32_t index) {
  NetlinkRequest request(RTM_GETLINK, 0, link_message(index));
  auto answers = collect(request);
  if (!answers) {
    return tl::unexpected(std::move(answers).error().within(fmt::format("interface {}", index)));
  }
  CHECK(!answers->empty());
  return parse_link(answers->front());
}

Result<void> Rtnetlink::hear_changes() {
  const int group = RTNLGRP_LINK;
  if (::setsockopt(fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return os_error("hear of links' changes");
  }
  return {};
}

void Rtnetlink::forget_changes() {
  // Truncated, and too many to keep (ENOBUFS), are as good.
  uint8_t byte;
  while (::recv(fd(), &byte, 1, MSG_DONTWAIT) >= 0 || errno == EINTR || errno == ENOBUFS) continue;
}

Result<uint32_t> Rtnetlink::index_of(const std::string& name) {
  return TRY(link(name)).index;
}

Result<void> Rtnetlink::set_flag(const std::string& name, unsigned flag, bool on,
                                 std::string_view attempt) {
  ifinfomsg message = link_message(TRY(index_of(name)));
  message.ifi_flags = on ? flag : 0u;
  message.ifi_change = flag;
  NetlinkRequest request(RTM_NEWLINK, 0, message);
  return ask(request, attempt);
}

Result<void> Rtnetlink::set_up(const std::string& name, bool up) {
  return set_flag(name, IFF_UP, up, fmt::format("set {} {}", name, up ? "up" : "down"));
}

Result<void> Rtnetlink::set_promiscuous(const std::string& name, bool on) {
  return set_flag(name, IFF_PROMISC, on,
                  fmt::format("make {} {}promiscuous", name, on ? "" : "not "));
}

Result<void> Rtnetlink::set_mtu(const std::string& name, uint32_t mtu) {
  NetlinkRequest request(RTM_NEWLINK, 0, link_message(TRY(index_of(name))));
  request.add(IFLA_MTU, mtu);
  return ask(request, fmt::format("set the MTU of {} to {}", name, mtu));
}

Result<void> Rtnetlink::set_mac(const std::string& name, const net::MacAddress& mac) {
  NetlinkRequest request(RTM_NEWLINK, 0, link_message(TRY(index_of(name))));
  request.add(IFLA_ADDRESS, mac.bytes);
  return ask(request, fmt::format("set the MAC address of {} to {}", name, to_string(mac)));
}

Result<void> Rtnetlink::move_link(const std::string& name, int netns_fd) {
  NetlinkRequest request(RTM_NEWLINK, 0, link_message(TRY(index_of(name))));
  request.add(IFLA_NET_NS_FD, static_cast<uint32_t>(netns_fd));
  return ask(request, fmt::format("move {} to another namespace", name));
}

Result<void> Rtnetlink::delete_link(const std::string& name) {
  NetlinkRequest request(RTM_DELLINK, 0, link_message(TRY(index_of(name))));
  return ask(request, "delete " + name);
}

Result<void> Rtnetlink::add_veth(const std::string& name, const std::string& peer,
                                 int peer_netns_fd) {
  NetlinkRequest request(RTM_NEWLINK, kNew, link_message(0));
  request.add(IFLA_IFNAME, name);
  request.nest(IFLA_LINKINFO, [&] {
    request.add(IFLA_INFO_KIND, std::string("veth"));
    request.nest(IFLA_INFO_DATA, [&] {
      request.nest(VETH_INFO_PEER, [&] {
        request.put(link_message(0));
        request.add(IFLA_IFNAME, peer);
        if (peer_netns_fd >= 0) {
          request.add(IFLA_NET_NS_FD, static_cast<uint32_t>(peer_netns_fd));
        }
      });
    });
  });
  return ask(request, fmt::format("make veth {} with peer {}", name, peer));
}

Result<void> Rtnetlink::add_address(const std::string& name, const net::Prefix& prefix) {
  ifaddrmsg message{};
  message.ifa_family = family_of(prefix.address);
  message.ifa_prefixlen = prefix.length;
  message.ifa_flags = prefix.address.is_v4() ? 0 : IFA_F_NODAD;
  message.ifa_index = TRY(index_of(name));
  NetlinkRequest request(RTM_NEWADDR, kNew, message);
  request.add(IFA_LOCAL, bytes_of(prefix.address));
  request.add(IFA_ADDRESS, bytes_of(prefix.address));
  return ask(request, fmt::format("add address {} to {}", to_string(prefix), name));
}

Result<void> Rtnetlink::add_route_with(const net::Prefix& destination, uint16_t attribute,
                                       std::span<const uint8_t> value) {
  const net::Prefix network = destination.network();
  rtmsg message{};
  message.rtm_family = family_of(network.address);
  message.rtm_dst_len = network.length;
  message.rtm_table = RT_TABLE_MAIN;
  message.rtm_protocol = RTPROT_STATIC;
  message.rtm_scope = attribute == RTA_OIF ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  message.rtm_type = RTN_UNICAST;
  NetlinkRequest request(RTM_NEWROUTE, kNew, message);
  request.add(RTA_DST, bytes_of(network.address));
  request.add(attribute, value);
  return ask(request, fmt::format("add a route to {}", to_string(network)));
}

Result<void> Rtnetlink::add_route(const net::Prefix& destination, const net::IpAddress& gateway) {
  return add_route_with(destination, RTA_GATEWAY, bytes_of(gateway));
}

Result<void> Rtnetlink::add_route(const net::Prefix& destination, const std::string& name) {
  const uint32_t index = TRY(index_of(name));
  // Sound: any object may be read as bytes.
  return add_route_with(destination, RTA_OIF,
                        std::span(reinterpret_cast<const uint8_t*>(&index), sizeof index));
}

Result<void> Rtnetlink::delete_route(const net::Prefix& destination) {
  const net::Prefix network = destination.network();
  rtmsg message{};
  message.rtm_family = family_of(network.address);
  message.rtm_dst_len = network.length;
  message.rtm_table = RT_TABLE_MAIN;
  message.rtm_scope = RT_SCOPE_NOWHERE;  // Of whatever scope.
  NetlinkRequest request(RTM_DELROUTE, 0, message);
  request.add(RTA_DST, bytes_of(network.address));
  return ask(request, fmt::format("delete the route to {}", to_string(network)));
}

Result<void> Rtnetlink::add_neighbour(const std::string& name, const net::IpAddress& address,
                                      const net::MacAddress& mac) {
  ndmsg message{};
  message.ndm_family = family_of(address);
  message.ndm_ifindex = static_cast<int>(TRY(index_of(name)));
  message.ndm_state = NUD_PERMANENT;
  NetlinkRequest request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, message);
  request.add(NDA_DST, bytes_of(address));
  request.add(NDA_LLADDR, mac.bytes);
  return ask(request, fmt::format("add neighbour {} to {}", to_string(address), name));
}

Result<void> Rtnetlink::set_offloads(const std::string& name, bool on) {
  // GSO and TSO rest on checksums, so those go on first and off last.
  constexpr std::array<uint32_t, 5> kOn = {ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM, ETHTOOL_SGSO,
                                           ETHTOOL_STSO, ETHTOOL_SGRO};
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) return fail("interface {}: name too long", name);
  name.copy(request.ifr_name, name.size());
  for (size_t i = 0; i < kOn.size(); ++i) {
    ethtool_value value{on ? kOn[i] : kOn[kOn.size() - 1 - i], on ? 1u : 0u};
    request.ifr_data = reinterpret_cast<char*>(&value);  // Sound: as ethtool's ioctl wants it.
    const int result = ::ioctl(socket_.raw(), SIOCETHTOOL, &request);
    // What a device cannot change at all it need not be asked to.
    if (result != 0 && errno != EOPNOTSUPP) return os_error("set the offloads of {}", name);
  }
  return {};
}

}  // namespace wh::host
