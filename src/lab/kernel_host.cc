#include "lab/kernel_host.h"

#include "net/checksum.h"

namespace wh::lab {

void Patch::Way::accept(net::Frame&& frame) {
  if (!out.config().checksum_offload) {
    // What has no place for one the device counts and refuses, if it can make nothing of it.
    for (net::Packet* packet : frame.packets()) (void)net::try_complete_checksum(*packet);
  }
  out.transmit(std::move(frame));
}

Result<std::unique_ptr<KernelHost>> KernelHost::make(host::RealLoop& loop, net::PacketPool& pool) {
  auto space = host::Netns::make();
  if (!space) {
    return tl::unexpected(
        std::move(space.error())
            .within(
                "a kernel host needs a network namespace (root, or unprivileged user namespaces)"));
  }
  return std::unique_ptr<KernelHost>(new KernelHost(std::move(*space), loop, pool));
}

Result<void> KernelHost::join(net::Interface& port, const std::vector<net::Prefix>& addresses,
                              const std::vector<net::Prefix>& theirs, const net::MacAddress& peer) {
  const std::string device = fmt::format("wh{}", joints_.size());
  Joint joint;
  joint.tap = TRY(host::TapInterface::open(
      {.device = device,
       .mac = net::MacAddress::local(0x10000 + static_cast<uint32_t>(joints_.size())),
       .mtu = port.mtu(),
       .offload = host::Offload::Join},
      space_, loop_, pool_));
  joint.patch = std::make_unique<Patch>(port, *joint.tap);
  host::Rtnetlink kernel = TRY(space_.netlink());
  TRY(kernel.set_mac(device, port.mac()));
  TRY(kernel.set_mtu(device, port.mtu()));
  TRY(kernel.set_up(device));
  for (const net::Prefix& address : addresses) TRY(kernel.add_address(device, address));
  for (const net::Prefix& p : theirs) TRY(kernel.add_neighbour(device, p.address, peer));
  joints_.push_back(std::move(joint));
  return {};
}

Result<void> KernelHost::add_route(const net::Prefix& prefix, const net::IpAddress& next_hop) {
  host::Rtnetlink kernel = TRY(space_.netlink());
  return kernel.add_route(prefix, next_hop);
}

}  // namespace wh::lab
