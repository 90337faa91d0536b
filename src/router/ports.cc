#include "router/ports.h"

#include <net/if.h>

#include "host/rtnetlink.h"
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

namespace {

net::MacAddress tap_mac(const PortSpec& spec) {
  const auto low = static_cast<uint8_t>(spec.tap_number);
  const uint32_t high = spec.tap_number >> 8;
  return spec.mac.value_or(net::MacAddress{{2, 0xfe, 0, 1, static_cast<uint8_t>(high), low}});
}

// As Linux takes a device's name: it may be a part of a path, and % begins a pattern.
Result<void> check_tap_name(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == ".." ||
      name.find_first_of("/:% \t\n\v\f\r") != std::string::npos) {
    return fail("TAP device '{}': accepted: a name of 1 to {} characters without / : % and space",
                name, IFNAMSIZ - 1);
  }
  return {};
}

Result<net::Interface::Config> describe_tap(const PortSpec& spec) {
  TRY(check_tap_name(spec.link));
  return net::Interface::Config{.name = spec.name(), .mac = tap_mac(spec)};
}

}  // namespace

Result<std::unique_ptr<net::Interface>> HostPorts::open(const PortSpec& spec,
                                                        net::PacketPool& pool) {
  if (spec.kind == PortSpec::Kind::Tap) {
    TRY(check_tap_name(spec.link));
    auto tap = TRY(host::TapInterface::open({.device = spec.link,
                                             .name = spec.name(),
                                             .mac = tap_mac(spec),
                                             .offload = host::Offload::ChecksumAndTso},
                                            loop_, pool));
    taps_.insert(spec.link);
    return tap;
  }
  return host::PacketInterface::open({.link = spec.link,
                                      .name = spec.name(),
                                      .mac = spec.mac.value_or(net::MacAddress{}),
                                      .receive = receive_},
                                     loop_, pool);
}

// A TAP device that was made by somebody else and is in use by nobody may be opened; nothing else
// of that name.
Result<void> HostPorts::check_tap_is_free(const std::string& name) const {
  if (taps_.contains(name)) return {};  // It may be taken over from an interface that goes.
  host::Rtnetlink kernel = TRY(host::Rtnetlink::open());
  const auto link = kernel.link(name);
  if (!link) return {};
  if (link->kind != "tun") {
    return fail("TAP device '{}': another interface has this name", name);
  }
  if (link->has_link) return fail("TAP device '{}': another process has it", name);
  return {};
}

Result<net::Interface::Config> HostPorts::describe(const PortSpec& spec) {
  if (spec.kind == PortSpec::Kind::Tap) {
    auto config = TRY(describe_tap(spec));
    // A worker's describe what the main thread has opened.
    if (receive_ != Receive::Share) TRY(check_tap_is_free(spec.link));
    return config;
  }
  host::Rtnetlink kernel = TRY(host::Rtnetlink::open());
  const host::LinkInfo link = TRY(kernel.link(spec.link));
  return net::Interface::Config{
      .name = spec.name(), .mac = spec.mac.value_or(host::own_mac(link.mac)), .mtu = link.mtu};
}

namespace {

// Takes everything and leads nowhere.
class PaperInterface final : public net::Interface {
 public:
  using Interface::Interface;

 private:
  void send(net::Frame&&) override {}
};

}  // namespace

Result<net::Interface::Config> PaperPorts::describe(const PortSpec& spec) {
  if (like_ != nullptr) return like_->describe(spec);
  if (spec.kind == PortSpec::Kind::Tap) return describe_tap(spec);
  return net::Interface::Config{.name = spec.name(), .mac = spec.mac.value_or(tap_mac(spec))};
}

Result<std::unique_ptr<net::Interface>> PaperPorts::open(const PortSpec& spec, net::PacketPool&) {
  return std::make_unique<PaperInterface>(TRY(describe(spec)), loop_);
}

}  // namespace wh::router
