// Router advertisements (RFC 4861 section 6.2): telling hosts on a link that this is a router, and
// which prefixes they may make addresses of.
//
// Sent from an interface that is asked to, while net.inet6.ip6.forwarding is on: three soon after
// the start, then at random times between a third of `max_interval` and all of it, and in answer to
// router solicitations, to all nodes, at most once in three seconds. The prefixes are the
// interface's own, unless others are given. When sending ends, by command or because the interface
// is set down or goes, hosts are told so with a lifetime of zero (section 6.2.5). Solicitations
// that come when none may be sent are dropped, counted.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/loop.h"
#include "core/random.h"
#include "core/result.h"
#include "net/wire/icmp6.h"

namespace wh::vnet {

struct Stack;

struct RouterAdvertisementConfig {
  Duration max_interval = 600s;         // 4 s to 30 min.
  Duration lifetime = 1800s;            // As default router, 0 for none, at most 9000 s.
  bool managed = false, other = false;  // Flags: addresses, or other things, by DHCPv6.
  bool send_mtu = true;
  std::vector<net::PrefixInformation> prefixes;  // Empty: of the interface's addresses.
};

class RouterAdvertiser {
 public:
  explicit RouterAdvertiser(Stack& stack);
  ~RouterAdvertiser();

  // Starts on an interface, or changes what it says. Errors: no such interface or one that is
  // bridged, times out of the bounds above, more prefixes than a message has.
  Result<void> enable(uint16_t interface, RouterAdvertisementConfig config);
  // Error: it does not advertise.
  Result<void> disable(uint16_t interface);
  bool has(uint16_t interface) const { return senders_.contains(interface); }
  void going_down(uint16_t interface);  // While it can still send.
  void came_up(uint16_t interface);     // Begins as at the start.
  // A sound solicitation came. False when the interface does not advertise.
  bool solicited(uint16_t interface);

  struct Row {
    uint16_t interface = 0;
    RouterAdvertisementConfig config;
    uint64_t sent = 0, solicited = 0;
  };
  std::vector<Row> rows() const;  // By interface.

 private:
  struct Sender;
  void send(Sender& sender, bool last);
  void send_soon(Sender& sender);
  void tick(Sender& sender);
  bool may_send(const Sender& sender) const;
  Stack& stack_;
  Random random_;
  std::map<uint16_t, std::unique_ptr<Sender>> senders_;
};

void add_router_advertisement_nodes(Stack& stack);  // icmp6-router-solicitation

}  // namespace wh::vnet
