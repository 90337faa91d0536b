// UDP (RFC 768): sockets that send and are called with what arrives.
//
//   auto socket = vnet.open_udp({.port = 53}, [](const UdpDatagram& d) { ... });
//   socket->send(to, 4000, bytes);
//
// There is no receive queue: a datagram is handed over as it comes, and the callback copies what it
// keeps. A datagram for a port that nobody has is answered with port unreachable, unless
// net.inet.udp.blackhole is set.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "net/ip_service.h"

namespace wh::vnet {

struct Stack;
class UdpSocket;
class UdpTable;

struct UdpDatagram {
  net::IpAddress source, destination;
  uint16_t source_port = 0, destination_port = 0;
  uint8_t ecn = 0;
  uint16_t table = 0;           // In which it came, as net/ip_service.h has it.
  UdpSocket* socket = nullptr;  // Whom it came for.
  const net::Packet& packet;    // Whole, from its IP header; good until the callback returns.
  uint32_t offset = 0;          // Of the payload in `packet`.
  uint32_t size = 0;            // Of the payload.

  std::vector<uint8_t> payload() const {
    std::vector<uint8_t> bytes(size);
    packet.copy_out(offset, bytes);
    return bytes;
  }
};

class UdpSocket {
 public:
  struct Config {
    net::Family family = net::Family::V4;
    net::IpAddress address{};  // Unspecified: any address of this host.
    uint16_t port = 0;         // 0: one of the ephemeral ports (RFC 6335 section 6) is picked.
    uint16_t table = net::kEveryTable;  // In which datagrams must come for it.
    bool dont_fragment = false;
  };
  using Receive = std::function<void(const UdpDatagram&)>;
  using OnError = std::function<void(const net::IpError&)>;

  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  // Sends a datagram; the slice's bytes are referred to, not copied. `how` is for a socket that has
  // no address, or is of every table. Errors: wrong family, no route, longer than a datagram may
  // be, no buffers.
  struct How {
    net::IpAddress from{};  // Unspecified: as the route says.
    uint16_t table = 0;
  };
  Result<void> send(const net::IpAddress& to, uint16_t port, net::Slice payload, const How& how);
  Result<void> send(const net::IpAddress& to, uint16_t port, std::span<const uint8_t> payload) {
    return send(to, port, payload, How{});
  }
  Result<void> send(const net::IpAddress& to, uint16_t port, std::span<const uint8_t> payload,
                    const How& how);

  uint16_t port() const { return config_.port; }
  const net::IpAddress& address() const { return config_.address; }
  // Called with ICMP errors about what this socket sent.
  void on_error(OnError on_error) { on_error_ = std::move(on_error); }

 private:
  friend class UdpTable;
  UdpSocket(UdpTable& table, Config config, Receive receive)
      : table_(table), config_(config), receive_(std::move(receive)) {}
  UdpTable& table_;
  Config config_;
  Receive receive_;
  OnError on_error_;
};

// Who has which port. Ownership: sockets belong to their users and must go before the vnet does.
class UdpTable {
 public:
  explicit UdpTable(Stack& stack) : stack_(stack) {}

  Result<std::unique_ptr<UdpSocket>> open(UdpSocket::Config config, UdpSocket::Receive receive);
  // The socket for a destination in a table: one of the very table before one of every, then one
  // bound to the very address before one bound to any. nullptr when none is.
  UdpSocket* find(const net::IpAddress& address, uint16_t port, uint16_t table) const;
  static void deliver(UdpSocket& socket, const UdpDatagram& datagram) { socket.receive_(datagram); }
  // False when no socket sent the packet the error is about.
  bool error(const net::IpError& error) const;
  // As net::IpProtocol::leave_table.
  Result<void> leave_table(uint16_t table) const;
  std::vector<uint16_t> ports(net::Family family) const;  // Those with a socket, in order.

 private:
  friend class UdpSocket;
  static uint32_t key(net::Family family, uint16_t port) {
    return uint32_t{static_cast<uint8_t>(family)} << 16 | port;
  }
  bool is_free(const UdpSocket::Config& config) const;
  Result<uint16_t> pick_port(UdpSocket::Config config);
  void close(UdpSocket& socket);

  Stack& stack_;
  std::unordered_map<uint32_t, std::vector<UdpSocket*>> by_port_;
};

}  // namespace wh::vnet
