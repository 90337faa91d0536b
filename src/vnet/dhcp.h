// DHCPv4 (RFC 2131): a server, a relay and a client on interfaces of the vnet.
//
//   DhcpServer: a pool of addresses for an interface's link, or for links whose relays ask
//   DhcpRelay:  what clients on a link ask goes to a server elsewhere, its answers come back
//   DhcpClient: an interface's address, default route and name servers, asked for and kept
//
// Server and relay share port 67: an interface is one or the other. A lease is for a client, by
// its identifier or MAC address; it gets the address it had, else the one it asks for, else one
// that was never leased, else the one free for longest. An offer holds its address for 10 s. A
// client that declines an address keeps it out of use for ten minutes. Answers go to the client's
// MAC address, or to all of its link when it asks for that.
//
// Bounds: a pool has at most 65,536 addresses, and no more leases than those. Counters are in
// sysctl, net.dhcp.*; what is dropped, with the reason, in the books of the nodes dhcp-server and
// dhcp-client. Not here: BOOTP, option overload, DNS updates.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/random.h"
#include "core/result.h"
#include "net/wire/dhcp.h"
#include "vnet/udp.h"

namespace wh::vnet {

struct Stack;
class Vnet;

struct DhcpPool {
  std::string name;
  net::Prefix network{};           // What is served; a relay within it asks for its link.
  net::Ip4 first, last;            // Leased, both included; within the network.
  std::optional<net::Ip4> router;  // Clients' default route.
  std::vector<net::Ip4> dns;
  Duration lease = 3600s;
  std::map<net::MacAddress, net::Ip4> fixed;  // Always these addresses; they need not be in range.
};

struct DhcpLease {
  net::Ip4 address;
  std::vector<uint8_t> client;  // Its identifier, or MAC address.
  net::MacAddress mac;
  enum class State : uint8_t { Offered, Bound, Free, Declined } state = State::Free;
  Instant expires{};
};

class DhcpServer {
 public:
  static constexpr uint32_t kMaxPool = 65'536;

  explicit DhcpServer(Vnet& vnet) : vnet_(vnet) {}

  // Errors name the pool: no name or one in use, no IPv4 network, a range that is empty, too long
  // or not in the network, a lease under a second, more than four name servers.
  Result<void> add(DhcpPool pool);
  Result<void> remove(std::string_view name);
  std::vector<const DhcpPool*> pools() const;                  // By name.
  std::vector<DhcpLease> leases(std::string_view name) const;  // By address; empty for no pool.
  bool is_empty() const { return pools_.empty(); }

  // The answer to a client's message that came by an address of ours, or by a relay; nothing when
  // there is none.
  std::optional<net::DhcpMessage> answer(const net::DhcpMessage& ask, net::Ip4 own);

 private:
  struct State {
    DhcpPool pool;
    std::map<uint32_t, DhcpLease> leases;  // By address, of those that were ever leased.
    std::map<std::vector<uint8_t>, uint32_t> by_client;
    std::set<std::pair<Instant, uint32_t>> by_end;  // Leases of the range, the first to end first.
    std::set<uint32_t> reserved;  // For one client, or the router: not for whoever asks.
    uint32_t next = 0;            // The first address of the range that was never leased.
  };
  State* pool_for(net::Ip4 link);
  DhcpLease* lease_of(State& state, const std::vector<uint8_t>& client);
  DhcpLease* choose(State& state, const net::DhcpMessage& ask, const std::vector<uint8_t>& client);
  DhcpLease* take(State& state, uint32_t address, const std::vector<uint8_t>& client);
  void set_state(State& state, DhcpLease& lease, DhcpLease::State now, Instant expires);
  void set_free(State& state, DhcpLease& lease);
  bool is_free(const State& state, uint32_t address) const;
  bool may_lease(const State& state, uint32_t address) const;
  std::optional<net::DhcpMessage> offer(State& state, const net::DhcpMessage& ask, net::Ip4 own);
  std::optional<net::DhcpMessage> request(State& state, const net::DhcpMessage& ask, net::Ip4 own);
  net::DhcpMessage reply(const State& state, const net::DhcpMessage& ask, net::DhcpType type,
                         net::Ip4 own) const;
  Vnet& vnet_;
  std::map<std::string, State, std::less<>> pools_;
};

// Port 67: gives messages to the server or the relay, and answers to where they belong.
class DhcpService {
 public:
  static constexpr uint8_t kMaxHops = 16;  // RFC 1542 section 4.1.1.
  explicit DhcpService(Vnet& vnet) : vnet_(vnet), server_(vnet) {}

  // Errors: as DhcpServer::add; port 67 is in use.
  Result<void> add_pool(DhcpPool pool);
  Result<void> remove_pool(std::string_view name);
  const DhcpServer& server() const { return server_; }
  // Relays what clients on an interface's link ask, while the interface has an IPv4 address: that
  // may come by DHCP, and later. Errors: no such interface; it is bridged; no servers or more than
  // 8; port 67 is in use.
  Result<void> set_relay(uint16_t interface, std::vector<net::Ip4> servers);
  Result<void> remove_relay(uint16_t interface);
  const std::map<uint16_t, std::vector<net::Ip4>>& relays() const { return relays_; }
  void forget(uint16_t interface) {
    relays_.erase(interface);
    close_if_unused();
  }

  struct Counters {
    uint64_t malformed = 0, received = 0, answered = 0, unanswered = 0;
    uint64_t relayed_up = 0, relayed_down = 0, relay_refused = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  Result<void> open();
  void close_if_unused();
  void receive(const UdpDatagram& datagram);
  void relay_up(net::DhcpMessage message, uint16_t interface, const std::vector<net::Ip4>& servers);
  void relay_down(const net::DhcpMessage& message, const UdpDatagram& datagram);
  void send_answer(const net::DhcpMessage& message, uint16_t interface, net::Ip4 own);
  Vnet& vnet_;
  DhcpServer server_;
  std::map<uint16_t, std::vector<net::Ip4>> relays_;
  std::unique_ptr<UdpSocket> socket_;
  Counters counters_;
};

class DhcpClient {
 public:
  enum class State : uint8_t { Init, Selecting, Requesting, Bound, Renewing, Rebinding };
  DhcpClient(Vnet& vnet, uint16_t interface);
  ~DhcpClient();

  uint16_t interface() const { return interface_; }
  State state() const { return state_; }
  std::optional<net::Prefix> address() const { return address_; }
  std::optional<net::Ip4> router() const { return router_; }
  const std::vector<net::Ip4>& dns() const { return dns_; }
  net::Ip4 server() const { return server_; }
  Instant expires() const { return expires_; }
  void receive(const net::DhcpMessage& message);
  void release();  // Gives the lease back.

 private:
  void act();
  void restart(Duration after);
  void send(net::DhcpType type);
  void bind(const net::DhcpMessage& ack);
  void unbind();
  void drop_router();
  void tell_address(const net::Prefix& address, bool is_there);
  Vnet& vnet_;
  Random random_;
  uint16_t interface_;
  State state_ = State::Init;
  uint32_t xid_ = 0;
  int tries_ = 0;
  net::Ip4 offered_, server_;
  std::optional<net::Prefix> address_;
  std::optional<net::Ip4> router_;
  std::vector<net::Ip4> dns_;
  Instant renews_{}, rebinds_{}, expires_{};
  Timer timer_;
};
const char* to_string(DhcpClient::State state);

// The clients of a vnet, and port 68.
class DhcpClients {
 public:
  explicit DhcpClients(Vnet& vnet) : vnet_(vnet) {}
  // Starts asking on an interface. Errors: no such interface; it has a client, or is bridged; port
  // 68 is in use.
  Result<void> add(uint16_t interface);
  // Gives the lease back and takes its address away. Error: there is no client.
  Result<void> remove(uint16_t interface);
  bool has(uint16_t interface) const { return clients_.contains(interface); }
  std::vector<const DhcpClient*> clients() const;  // By interface.

 private:
  void receive(const UdpDatagram& datagram);
  Vnet& vnet_;
  std::map<uint16_t, std::unique_ptr<DhcpClient>> clients_;
  std::unique_ptr<UdpSocket> socket_;
};

void add_dhcp_nodes(Stack& stack);  // dhcp-server, dhcp-client: books alone

// Sends a message by an interface to a MAC address or to all of its link, whatever routes say.
void send_dhcp(Vnet& vnet, uint16_t interface, const net::DhcpMessage& message, net::Ip4 from,
               net::Ip4 to, const net::MacAddress& mac, uint16_t from_port, uint16_t to_port);

}  // namespace wh::vnet
