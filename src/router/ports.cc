#include "router/ports.h"

#include "host/packet_interface.h"
#include "host/tap.h"

namespace wh::router {

std::string PortSpec::name() const {
  switch (kind) {
    case Kind::HostInterface: return "host-" + link;
    case Kind::Netmap: return "netmap-" + link;
    case Kind::Tap: return fmt::format("tap{}", tap_number);
  }
  UNREACHABLE();
}

const char* PortSpec::input_node() const {
  switch (kind) {
    case Kind::HostInterface: return "af-packet-input";
    case Kind::Netmap: return "netmap-input";
    case Kind::Tap: return "virtio-input";
  }
  UNREACHABLE();
}

Result<std::unique_ptr<net::Interface>> HostPorts::open(const PortSpec& spec,
                                                        net::PacketPool& pool) {
  if (spec.kind == PortSpec::Kind::Tap) {
    return host::TapInterface::open(
        {.device = spec.link,
         .mac = spec.mac.value_or(
             net::MacAddress{{2, 0xfe, 0, 0, 1, static_cast<uint8_t>(spec.tap_number)}}),
         .offload = host::Offload::ChecksumAndTso},
        loop_, pool);
  }
  return host::PacketInterface::open(
      {.link = spec.link, .name = spec.name(), .mac = spec.mac.value_or(net::MacAddress{})}, loop_,
      pool);
}

namespace {

// Takes everything and leads nowhere.
class PaperInterface final : public net::Interface {
 public:
  using Interface::Interface;

 private:
  void send(net::Frame) override {}
};

}  // namespace

Result<std::unique_ptr<net::Interface>> PaperPorts::open(const PortSpec& spec, net::PacketPool&) {
  return std::make_unique<PaperInterface>(
      net::Interface::Config{.name = spec.name(), .mac = spec.mac.value_or(net::MacAddress{})},
      loop_);
}

}  // namespace wh::router
