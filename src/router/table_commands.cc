// Tables of routes besides the default, VPP's name for VRFs, and which interfaces are in them.
#include <algorithm>

#include "router/command.h"

namespace wh::router {
namespace {

Result<Answer> add_table(Router& router, const Arguments& a) {
  const auto id = static_cast<uint32_t>(a.number("id"));
  const auto ids = router.vnet().vrfs();
  // VPP's scripts add a table once for each family; here it has both.
  if (std::find(ids.begin(), ids.end(), id) != ids.end()) return Answer::nothing();
  TRY(router.vnet().add_vrf(id));
  return Answer::nothing();
}

Result<Answer> remove_table(Router& router, const Arguments& a) {
  TRY(router.vnet().remove_vrf(static_cast<uint32_t>(a.number("table"))));
  return Answer::nothing();
}

Result<Answer> set_table(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  const auto id = static_cast<uint32_t>(a.number("table"));
  if (router.vnet().vrf_of(index) == id) return Answer::nothing();
  TRY(router.vnet().set_vrf(index, id));
  return Answer::nothing();
}

// Those of a table, by number.
std::vector<std::string> interfaces_in(const vnet::Vnet& vnet, uint32_t id) {
  std::vector<std::string> names;
  for (uint16_t i = 1; i < vnet.interfaces().size(); ++i) {
    const auto& entry = vnet.interfaces()[i];
    if (entry.device != nullptr && vnet.vrf_of(i) == id) names.push_back(entry.name);
  }
  return names;
}

Result<Answer> show_tables(Router& router, const Arguments&) {
  std::string text;
  nlohmann::json all = nlohmann::json::array();
  for (const uint32_t id : router.vnet().vrfs()) {
    const auto names = interfaces_in(router.vnet(), id);
    text += fmt::format("[{}] table_id:{} ipv4-VRF:{} ipv6-VRF:{}{}{}\n", all.size(), id, id, id,
                        names.empty() ? "" : " interfaces: ", fmt::join(names, ", "));
    all.push_back({{"table", id}, {"interfaces", names}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

void list_tables(const Router& router, ConfigurationLines& lines) {
  for (const uint32_t id : router.vnet().vrfs()) {
    if (id == 0) continue;
    lines.push_back({fmt::format("ip table add {}", id), fmt::format("ip table del {}", id)});
    for (const std::string& name : interfaces_in(router.vnet(), id)) {
      lines.push_back({fmt::format("set interface ip table {} {}", name, id),
                       fmt::format("set interface ip table {} 0", name)});
    }
  }
}

}  // namespace

Feature table_feature() {
  Feature feature{{{"show ip table", "the tables of routes, and who is in them", show_tables}},
                  list_tables,
                  {},
                  LoadStage::Base};
  for (const char* family : {"ip", "ip6"}) {
    feature.commands.push_back(setting(fmt::format("{} table add <id:1..4294967295>", family),
                                       "a table of routes of its own, for both families",
                                       add_table));
    feature.commands.push_back(setting(fmt::format("{} table del <table>", family),
                                       "remove a table with its routes", remove_table));
    feature.commands.push_back(
        setting(fmt::format("set interface {} table <interface> <table>", family),
                "which table the packets of an interface look up", set_table));
  }
  return feature;
}

}  // namespace wh::router
