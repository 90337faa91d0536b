// Policers and where they meter.
#include "router/command.h"
#include "router/values.h"

namespace wh::router {
namespace {

using vnet::Colour;
using vnet::PolicerAction;
using vnet::PolicerSide;

constexpr const char* kColours[] = {"conform", "exceed", "violate"};

Result<Answer> add_policer(Router& router, const Arguments& a) {
  const std::string& name = a["name"];
  if (!a.has("cir") || !a.has("cb")) return fail("policer '{}': needs cir and cb", name);
  const bool two_rates = a.has("eir");
  const char* type = two_rates ? "2r3c-2698" : a.has("eb") ? "1r3c" : "1r2c";
  for (const char* said : {"1r2c", "1r3c", "2r3c-2698"}) {
    if (!a.has(said) || std::string_view(said) == type) continue;
    return fail("policer '{}': type {}; with these rates and bursts it is {}", name, said, type);
  }
  vnet::PolicerConfig config{.name = name,
                             .rate = Rate::bits_per_second(a.number("cir") * 1000),
                             .burst = Bytes(static_cast<int64_t>(a.number("cb"))),
                             .excess_burst = Bytes(static_cast<int64_t>(a.number("eb")))};
  if (two_rates) config.peak = Rate::bits_per_second(a.number("eir") * 1000);
  for (const Arguments& action : a.list("actions")) {
    size_t colour = 0;
    while (!action.has(fmt::format("{}-action", kColours[colour]))) ++colour;
    PolicerAction& to_do = config.actions[colour];
    to_do = {.drop = action.has("drop")};
    if (action.has("dscp")) to_do.dscp = TRY(parse_dscp(action["dscp"]));
  }
  TRY(router.vnet().policers().add(std::move(config)));
  return Answer::nothing();
}

Result<Answer> remove_policer(Router& router, const Arguments& a) {
  TRY(router.vnet().policers().remove(a["policer"]));
  return Answer::nothing();
}

Command::Run bind_policer(PolicerSide side) {
  return [side](Router& router, const Arguments& a) -> Result<Answer> {
    const uint16_t index = TRY(router.index_of(a["interface"]));
    if (a.has("unapply")) {
      TRY(router.vnet().policers().unbind(index, side));
    } else {
      TRY(router.vnet().policers().bind(index, side, a["policer"]));
    }
    return Answer::nothing();
  };
}

std::string action_text(const PolicerAction& action) {
  if (action.drop) return "drop";
  return action.dscp ? fmt::format("mark-and-transmit {}", *action.dscp) : "transmit";
}

const char* type_name(const vnet::PolicerConfig& c) {
  if (c.peak) return "2r3c-2698";
  return c.excess_burst.count() != 0 ? "1r3c" : "1r2c";
}

Result<Answer> show_policers(Router& router, const Arguments& a) {
  std::string text;
  nlohmann::json all = nlohmann::json::array();
  for (const vnet::Policer* policer : router.vnet().policers().policers()) {
    const vnet::PolicerConfig& c = policer->config();
    if (a.has("policer") && c.name != a["policer"]) continue;
    const uint64_t peak = c.peak ? c.peak->bps() / 1000 : 0;
    text += fmt::format("Name \"{}\" type {} cir {} eir {} cb {} eb {}\nrate type kbps\n", c.name,
                        type_name(c), c.rate.bps() / 1000, peak, c.burst.count(),
                        c.excess_burst.count());
    nlohmann::json colours = nlohmann::json::object();
    for (size_t i = 0; i < 3; ++i) {
      const auto& count = policer->counts()[i];
      text += fmt::format("{:<8} action {:<22} {:>12} packets {:>16} bytes\n", kColours[i],
                          action_text(c.actions[i]), count.packets, count.bytes);
      colours[kColours[i]] = {{"action", action_text(c.actions[i])},
                              {"packets", count.packets},
                              {"bytes", count.bytes}};
    }
    all.push_back({{"name", c.name},
                   {"type", type_name(c)},
                   {"cir_kbps", c.rate.bps() / 1000},
                   {"eir_kbps", peak},
                   {"cb", c.burst.count()},
                   {"eb", c.excess_burst.count()},
                   {"colours", colours}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

void list_policers(const Router& router, ConfigurationLines& lines) {
  for (const vnet::Policer* policer : router.vnet().policers().policers()) {
    const vnet::PolicerConfig& c = policer->config();
    std::string text =
        fmt::format("policer add name {} type {} rate kbps cir {} cb {}", quote_word(c.name),
                    type_name(c), c.rate.bps() / 1000, c.burst.count());
    if (c.peak) text += fmt::format(" eir {}", c.peak->bps() / 1000);
    if (c.excess_burst.count() != 0) text += fmt::format(" eb {}", c.excess_burst.count());
    for (size_t i = 0; i < 3; ++i) {
      text += fmt::format(" {}-action {}", kColours[i], action_text(c.actions[i]));
    }
    lines.push_back({std::move(text), fmt::format("policer del name {}", quote_word(c.name))});
  }
  for (const auto& binding : router.vnet().policers().bindings()) {
    const char* side = binding.side == PolicerSide::Input ? "input" : "output";
    const std::string text = fmt::format("policer {} name {} {}", side, quote_word(binding.policer),
                                         router.vnet().interfaces()[binding.interface].name);
    lines.push_back({text, text + " unapply"});
  }
}

}  // namespace

Feature policer_feature() {
  return {
      {setting("policer add [name] <name:word> [type (1r2c|1r3c|2r3c-2698) | rate kbps | "
               "cir <cir:1..4294967295> | cb <cb:1..4294967295> | eir <eir:1..4294967295> | "
               "eb <eb:1..4294967295> | {actions: (conform-action|exceed-action|violate-action) "
               "(drop | transmit | mark-and-transmit <dscp>)}]*",
               "a policer; rates in kbit/s, bursts in bytes", add_policer),
       setting("policer del [name] <policer>", "remove a policer", remove_policer),
       setting("policer input [name] <policer> <interface> [unapply]",
               "meter what comes in by an interface", bind_policer(PolicerSide::Input)),
       setting("policer output [name] <policer> <interface> [unapply]",
               "meter what goes out by an interface", bind_policer(PolicerSide::Output)),
       {"show policer [<policer>]", "policers, and what they counted", show_policers}},
      list_policers};
}

}  // namespace wh::router
