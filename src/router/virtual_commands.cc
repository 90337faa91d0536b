// Loopbacks and VLAN sub-interfaces: interfaces that no device of the machine stands behind.
#include "router/command.h"

namespace wh::router {
namespace {

Result<Answer> create_loopback(Router& router, const Arguments& a) {
  const auto number = static_cast<uint32_t>(a.number("instance", router.free_loopback_number()));
  const auto mac = a.has("mac") ? TRY(net::parse_mac(a["mac"])) : net::MacAddress{};
  return Answer::of_text(TRY(router.create_loopback(number, mac)));
}

Result<Answer> create_sub_interface(Router& router, const Arguments& a) {
  const bool is_dot1ad = a.has("dot1ad");
  const vnet::SubInterfaceConfig config{
      .id = static_cast<uint32_t>(a.number("id")),
      .outer = static_cast<uint16_t>(a.number(is_dot1ad ? "dot1ad" : "dot1q")),
      .inner = static_cast<uint16_t>(a.number("inner-dot1q")),
      .dot1q = !is_dot1ad};
  return Answer::of_text(TRY(router.create_sub(TRY(router.index_of(a["interface"])), config)));
}

Result<Answer> delete_loopback(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  if (router.vnet().virtuals().sub(index) != nullptr) {
    const std::string& name = router.vnet().interfaces()[index].name;
    return fail("interface {}: is not a loopback; accepted: delete sub-interface {}", name, name);
  }
  TRY(router.delete_virtual(index));
  return Answer::nothing();
}

Result<Answer> delete_sub_interface(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  if (router.vnet().virtuals().loopback(index) != nullptr) {
    const std::string& name = router.vnet().interfaces()[index].name;
    return fail("interface {}: is not a sub-interface; accepted: delete loopback interface {}",
                name, name);
  }
  TRY(router.delete_virtual(index));
  return Answer::nothing();
}

void list_loopback(const net::Interface& device, ConfigurationLines& lines) {
  const std::string& name = device.name();
  lines.push_back({fmt::format("create loopback interface mac {} instance {}",
                               to_string(device.mac()), name.substr(4)),
                   fmt::format("delete loopback interface intfc {}", name)});
}

void list_sub_interface(const vnet::SubInterface& sub, ConfigurationLines& lines) {
  const vnet::SubInterfaceConfig& tags = sub.tags();
  const bool is_dot1q = tags.inner == 0 || tags.dot1q;
  std::string text = fmt::format("create sub-interfaces {} {} {} {}", sub.parent().name(), tags.id,
                                 is_dot1q ? "dot1q" : "dot1ad", tags.outer);
  if (tags.inner != 0) text += fmt::format(" inner-dot1q {}", tags.inner);
  lines.push_back({std::move(text), fmt::format("delete sub-interface {}", sub.name())});
}

void list_virtuals(const Router& router, ConfigurationLines& lines) {
  const auto& table = router.vnet().interfaces();
  for (uint16_t i = 1; i < table.size(); ++i) {
    if (const vnet::SubInterface* sub = router.vnet().virtuals().sub(i)) {
      list_sub_interface(*sub, lines);
    } else if (router.vnet().virtuals().loopback(i) != nullptr) {
      list_loopback(*table[i].device, lines);
    }
  }
}

}  // namespace

Feature virtual_feature() {
  return {
      {setting("create loopback interface [mac <mac> | instance <instance:0..16383>]*",
               "an interface that leads nowhere, and is always there", create_loopback),
       setting("delete loopback interface [intfc] <interface>", "remove a loopback",
               delete_loopback),
       setting("create sub-interfaces <interface> <id:1..65533> "
               "[(dot1q <dot1q:1..4094> [inner-dot1q <inner-dot1q:1..4094>] | "
               "dot1ad <dot1ad:1..4094> inner-dot1q <inner-dot1q:1..4094>) [exact-match]]",
               "frames of a port with one or two VLAN tags, as an interface; the tag is the "
               "number unless given",
               create_sub_interface),
       setting("delete sub-interface <interface>", "remove a sub-interface", delete_sub_interface)},
      list_virtuals,
      {},
      LoadStage::Base};
}

}  // namespace wh::router
