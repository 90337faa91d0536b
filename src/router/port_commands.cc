// create and delete: the ports of a router.
#include "router/command.h"

namespace wh::router {
namespace {

Command create(PortSpec::Kind kind, std::string syntax, std::string help) {
  auto run = [kind](Router& router, const Arguments& a) -> Result<Answer> {
    PortSpec spec{.kind = kind};
    if (a.has("hw-addr")) spec.mac = TRY(net::parse_mac(a["hw-addr"]));
    if (kind == PortSpec::Kind::Tap) {
      const uint32_t free = router.free_tap_number();
      spec.tap_number = static_cast<uint32_t>(a.number("id", free));
      spec.link = a.get("host-if-name", spec.name());
    } else {
      spec.link = a["name"];
    }
    return Answer::of_text(TRY(router.create_port(std::move(spec))));
  };
  return setting(std::move(syntax), std::move(help), run);
}

std::string removal(const PortSpec& spec) {
  const std::string link = quote_word(spec.link);
  switch (spec.kind) {
    case PortSpec::Kind::HostInterface: return "delete host-interface name " + link;
    case PortSpec::Kind::Netmap: return "delete netmap name " + link;
    case PortSpec::Kind::Tap: return "delete tap " + spec.name();
  }
  UNREACHABLE();
}

Command remove(PortSpec::Kind kind, std::string syntax, std::string help) {
  auto run = [kind](Router& router, const Arguments& a) -> Result<Answer> {
    const std::string& name = a.has("name") ? a["name"] : a["interface"];
    const bool is_tap = kind == PortSpec::Kind::Tap;
    // The Linux name or the interface's own are both accepted.
    for (const auto& port : router.ports()) {
      const std::string own = port->spec.name();
      if (port->spec.kind != kind || (own != name && (is_tap || port->spec.link != name))) continue;
      TRY(router.delete_port(own));
      return Answer::nothing();
    }
    const auto kind_name = is_tap                           ? "a TAP device"
                           : kind == PortSpec::Kind::Netmap ? "a netmap port"
                                                            : "a host-interface port";
    for (const auto& port : router.ports()) {
      if (port->spec.name() != name && port->spec.link != name) continue;
      return fail("interface {}: is not {}; accepted: {}", port->spec.name(), kind_name,
                  removal(port->spec));
    }
    return fail("interface '{}': is not {}", name, kind_name);
  };
  return setting(std::move(syntax), std::move(help), run);
}

void list_ports(const Router& router, ConfigurationLines& lines) {
  for (const auto& port : router.ports()) {
    const PortSpec& spec = port->spec;
    const std::string mac = spec.mac ? " hw-addr " + to_string(*spec.mac) : "";
    const std::string link = quote_word(spec.link);
    ConfigurationLine line{.undo = removal(spec), .is_stale = !port->is_open()};
    switch (spec.kind) {
      case PortSpec::Kind::HostInterface:
        line.line = fmt::format("create host-interface name {}{}", link, mac);
        break;
      case PortSpec::Kind::Netmap:
        line.line = fmt::format("create netmap name {}{}", link, mac);
        break;
      case PortSpec::Kind::Tap:
        line.line = fmt::format("create tap id {} host-if-name {}{}", spec.tap_number, link, mac);
    }
    lines.push_back(std::move(line));
  }
}

}  // namespace

Feature port_feature() {
  using Kind = PortSpec::Kind;
  return {
      {create(Kind::HostInterface, "create host-interface name <name:word> [hw-addr <hw-addr:mac>]",
              "take over a Linux interface through a packet socket"),
       create(Kind::Netmap, "create netmap name <name:word> [hw-addr <hw-addr:mac>]",
              "the same under the name it has in the article"),
       create(Kind::Tap,
              "create tap [id <id:0..65535> | host-if-name <host-if-name:word> | hw-addr "
              "<hw-addr:mac>]*",
              "make a TAP device, whose other end is the Linux kernel's"),
       remove(Kind::HostInterface, "delete host-interface name <name:word>",
              "give a Linux interface back"),
       remove(Kind::Netmap, "delete netmap name <name:word>", "give a Linux interface back"),
       remove(Kind::Tap, "delete tap <interface>", "remove a TAP device")},
      list_ports,
      {},
      LoadStage::Base};
}

}  // namespace wh::router
