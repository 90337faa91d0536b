// The Linux kernel as a host of the lab: a network namespace whose TAP devices are patched to the
// lab's links.
//
//   vnet --- link === link's far port --- patch --- TapInterface ---(TAP)--- kernel's TCP
//
// So a packet for the kernel crosses the emulated path first. Addresses are given to the device as
// a lab's host would have them. Everything goes when this does.
#pragma once

#include <memory>
#include <vector>

#include "host/kernel_peer.h"
#include "host/netns.h"
#include "host/real_loop.h"
#include "host/tap.h"

namespace wh::lab {

// Two interfaces joined back to back: what one receives the other transmits. Checksums that were
// left open are completed where the other side cannot.
class Patch {
 public:
  // Both must outlive it.
  Patch(net::Interface& a, net::Interface& b) : a_to_b_(b), b_to_a_(a), a_(a), b_(b) {
    a.attach(&a_to_b_);
    b.attach(&b_to_a_);
  }
  ~Patch() {
    a_.attach(nullptr);
    b_.attach(nullptr);
  }
  Patch(const Patch&) = delete;
  Patch& operator=(const Patch&) = delete;

 private:
  struct Way final : net::FrameSink {
    explicit Way(net::Interface& out_) : out(out_) {}
    void accept(net::Frame&& frame) override;
    net::Interface& out;
  };
  Way a_to_b_, b_to_a_;
  net::Interface &a_, &b_;
};

class KernelHost {
 public:
  // Errors: no right to make a namespace or a TAP device, and what would give it.
  static Result<std::unique_ptr<KernelHost>> make(host::RealLoop& loop, net::PacketPool& pool);

  // Joins a port of a link to a new device with the port's MAC address and these, for which
  // `theirs` are at `peer`. The port must outlive this host.
  Result<void> join(net::Interface& port, const std::vector<net::Prefix>& addresses,
                    const std::vector<net::Prefix>& theirs, const net::MacAddress& peer);
  // REQUIRES: the next hop is on a joined network.
  Result<void> add_route(const net::Prefix& prefix, const net::IpAddress& next_hop);
  const host::Netns& space() const { return space_; }

 private:
  KernelHost(host::Netns space, host::RealLoop& loop, net::PacketPool& pool)
      : space_(std::move(space)), loop_(loop), pool_(pool) {}
  struct Joint {
    std::unique_ptr<host::TapInterface> tap;
    std::unique_ptr<Patch> patch;  // Goes first.
  };
  host::Netns space_;
  host::RealLoop& loop_;
  net::PacketPool& pool_;
  std::vector<Joint> joints_;
};

}  // namespace wh::lab
