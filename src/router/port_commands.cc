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

Command remove(std::string syntax, std::string help, std::string prefix) {
  auto run = [prefix](Router& router, const Arguments& a) -> Result<Answer> {
    const std::string& name = a.has("name") ? a["name"] : a["interface"];
    // The Linux name or the interface's own are both accepted.
    TRY_VOID(router.delete_port(name.starts_with(prefix) ? name : prefix + name));
    return Answer::nothing();
  };
  return setting(std::move(syntax), std::move(help), run);
}

void list_ports(const Router& router, std::vector<ConfigurationLine>& lines) {
  for (const auto& port : router.ports()) {
    const PortSpec& spec = port->spec;
    const std::string mac = spec.mac ? " hw-addr " + to_string(*spec.mac) : "";
    const std::string link = quote_word(spec.link);
    switch (spec.kind) {
      case PortSpec::Kind::HostInterface:
        lines.push_back({fmt::format("create host-interface name {}{}", link, mac),
                         fmt::format("delete host-interface name {}", link)});
        break;
      case PortSpec::Kind::Netmap:
        lines.push_back({fmt::format("create netmap name {}{}", link, mac),
                         fmt::format("delete netmap name {}", link)});
        break;
      case PortSpec::Kind::Tap:
        lines.push_back(
            {fmt::format("create tap id {} host-if-name {}{}", spec.tap_number, link, mac),
             fmt::format("delete tap {}", spec.name())});
    }
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
       remove("delete host-interface name <name:word>", "give a Linux interface back", "host-"),
       remove("delete netmap name <name:word>", "give a Linux interface back", "netmap-"),
       remove("delete tap <interface>", "remove a TAP device", "")},
      list_ports};
}

}  // namespace wh::router
