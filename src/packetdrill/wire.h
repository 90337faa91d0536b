// The network as packetdrill plays it: raw IP packets in and out of one interface of the vnet.
//
// packetdrill gives no addresses beforehand: what it sends to is ours, what it sends from is the
// peer's, and the vnet is told as they come. Between them lies an Ethernet whose other end has one
// MAC address, so that no neighbour need be asked for. What leaves is kept with its time until it
// is asked for, at most kMostWaiting packets; more are the interface's `tx_errors`.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "core/loop.h"
#include "net/interface.h"
#include "vnet/vnet.h"

namespace wh::packetdrill {

class Wire final : private net::Interface {
 public:
  struct Sent {
    Instant when;
    std::vector<uint8_t> packet;  // From its IP header.
  };
  static constexpr size_t kMostWaiting = 100'000;

  Wire(vnet::Vnet& vnet, Loop& loop, net::PacketPool& pool, uint32_t mtu);
  ~Wire() override;

  // The packet arrives now. False when it is no IP packet.
  bool deliver(std::span<const uint8_t> packet);
  std::optional<Sent> take();
  bool has_packet() const { return !sent_.empty(); }
  Result<void> change_mtu(uint32_t mtu) { return vnet_.set_mtu(index_, mtu); }  // 68..65535.

  // Makes an address ours, or one that can be reached. Nothing when it is so already.
  void learn_local(const net::IpAddress& address);
  void learn_remote(const net::IpAddress& address);

 private:
  void send(net::Frame&& frame) override;
  bool is_ours_to_know(std::span<const uint8_t> packet) const;

  vnet::Vnet& vnet_;
  net::PacketPool& pool_;
  uint16_t index_ = 0;
  std::deque<Sent> sent_;
  std::set<net::IpAddress> local_, remote_;
};

}  // namespace wh::packetdrill
