// What a router serves itself: TCP and UDP at its own addresses.
//
// Packets for the router that ip4-local and ip6-local know no other use for end here: at our TCP
// (wh::tcp, on the router's vnet) and at the vnet's UDP. Its program is an echo server (RFC 862),
// by which others learn whether a path carries data, and how fast. A connection that no server
// takes is refused with a RST. They answer in the VRF in which they are asked. With workers, they
// work on the main thread.
//
// Bounds: connections by net.inet.tcp.maxtcpcb, each by its socket buffers. A connection whose peer
// vanished ends by keepalive.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "pacing/hpts.h"
#include "tcp/stack.h"
#include "vnet/udp.h"
#include "vnet/vnet.h"

namespace wh::router {

// Where a program listens or connects to, as VPP writes it: tcp://10.1.0.1/7, udp://::/7. The table
// of `at` is said beside it.
struct AppUri {
  enum class Protocol : uint8_t { Tcp, Udp } protocol = Protocol::Tcp;
  tcp::Endpoint at;
  bool operator==(const AppUri&) const = default;
};
// Errors: another scheme, no address, a port outside of 1 to 65535.
Result<AppUri> parse_uri(std::string_view text);
std::string to_string(const AppUri& uri);

class LocalApps {
 public:
  explicit LocalApps(vnet::Vnet& vnet);
  ~LocalApps();
  LocalApps(const LocalApps&) = delete;
  LocalApps& operator=(const LocalApps&) = delete;

  // An echo server at all of the router's addresses of one family, in one table or in every.
  // Errors: the address is not 0.0.0.0 or ::, so that a configuration does not depend on which
  // addresses there are; the port is taken.
  Result<void> start_echo(const AppUri& uri);
  // Its connections are reset, unless another takes such. Error: there is no such server.
  Result<void> stop_echo(const AppUri& uri);
  struct Server {
    AppUri uri;
    tcp::Listener* listener = nullptr;        // Of TCP,
    std::unique_ptr<vnet::UdpSocket> socket;  // of UDP.
  };
  const std::vector<Server>& servers() const { return servers_; }

  tcp::TcpStack& tcp() { return tcp_; }
  Loop& loop() { return vnet_.loop(); }

 private:
  // Sends back what comes.
  class Echo final : public tcp::ConnectionObserver {
   public:
    void take(tcp::Connection& c);
    void on_ready(tcp::Connection& c, uint8_t readiness) override;

   private:
    bool send_back(tcp::Connection& c);
    std::unordered_map<tcp::Connection*, net::Slice> unsent_;  // What there was no room for.
  };

  void accept_all();
  bool is_served(const tcp::Endpoint& local) const;
  void answer(const vnet::UdpDatagram& datagram);

  vnet::Vnet& vnet_;
  pacing::HptsBooks books_;
  pacing::Hpts wheel_;
  tcp::TcpStack tcp_;
  Echo echo_;
  std::vector<Server> servers_;
};

}  // namespace wh::router
