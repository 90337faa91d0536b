// A UDP socket: a bounded queue of datagrams before the vnet's own, which has none.
#pragma once

#include <deque>
#include <optional>

#include "packetdrill/descriptor.h"
#include "vnet/udp.h"

namespace wh::packetdrill {

class UdpSocket final : public Descriptor {
 public:
  static constexpr size_t kMostWaiting = 256;  // Datagrams; more are net.inet.udp.fullsock.

  UdpSocket(World& world, int domain) : Descriptor(world), domain_(domain) {}

  uint32_t ready() const override;
  Outcome bind(const tcp::Endpoint& local) override;
  Outcome connect(World::Lock& lock, const tcp::Endpoint& to) override;
  Outcome disconnect() override;
  Outcome receive(World::Lock& lock, std::span<const iovec> parts, int flags,
                  tcp::Endpoint& from) override;
  Outcome send(World::Lock& lock, std::span<const iovec> parts, int flags,
               const tcp::Endpoint* to) override;
  Outcome get_option(int level, int name, std::span<uint8_t> value) override;
  Outcome set_option(int level, int name, std::span<const uint8_t> value) override;
  int domain() const override { return domain_; }

 private:
  struct Datagram {
    tcp::Endpoint from;
    std::vector<uint8_t> bytes;
  };
  Outcome open(const tcp::Endpoint& local);

  int domain_;
  std::unique_ptr<vnet::UdpSocket> socket_;
  std::optional<tcp::Endpoint> peer_;
  std::deque<Datagram> waiting_;
  int error_ = 0;
};

}  // namespace wh::packetdrill
