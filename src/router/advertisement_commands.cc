// Router advertisements: ip6 nd.
#include "router/command.h"

namespace wh::router {
namespace {

using std::chrono::seconds;

// Of a prefix that is given without times (RFC 4861 section 6.2.1).
constexpr seconds kUsualValid{2'592'000}, kUsualPreferred{604'800};

Result<net::PrefixInformation> advertised_prefix(const Arguments& a) {
  const net::Prefix prefix = TRY(net::parse_prefix(a["prefix"])).network();
  if (prefix.address.is_v4()) return fail("{}: not an IPv6 prefix", a["prefix"]);
  net::PrefixInformation p{.prefix = prefix.address.v6(),
                           .length = prefix.length,
                           .on_link = !a.has("off-link"),
                           .autonomous = !a.has("no-autoconfig"),
                           .valid_lifetime = seconds(a.number("valid", 2'592'000)),
                           .preferred_lifetime = seconds(a.number("preferred", 604'800))};
  if (p.preferred_lifetime > p.valid_lifetime) {
    return fail("{}: preferred for longer than it is valid", a["prefix"]);
  }
  return p;
}

// What is not given stays as it is.
Result<Answer> advertise(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  vnet::RouterAdvertiser& advertiser = router.vnet().advertiser();
  vnet::RouterAdvertisementConfig config;
  for (const auto& row : advertiser.rows()) {
    if (row.interface == index) config = row.config;
  }
  if (a.has("ra-managed-config-flag")) config.managed = true;
  if (a.has("ra-other-config-flag")) config.other = true;
  if (a.has("ra-no-mtu")) config.send_mtu = false;
  if (a.has("ra-interval")) config.max_interval = seconds(a.number("ra-interval"));
  if (a.has("ra-lifetime")) config.lifetime = seconds(a.number("ra-lifetime"));
  for (const Arguments& prefix : a.list("prefixes")) {
    const net::PrefixInformation p = TRY(advertised_prefix(prefix));
    std::erase_if(config.prefixes, [&](const net::PrefixInformation& old) {
      return old.prefix == p.prefix && old.length == p.length;
    });
    config.prefixes.push_back(p);
  }
  TRY(advertiser.enable(index, std::move(config)));
  return Answer::nothing();
}

Result<Answer> suppress(Router& router, const Arguments& a) {
  const uint16_t index = TRY(router.index_of(a["interface"]));
  for (const auto& row : router.vnet().advertiser().rows()) {
    if (row.interface != index) continue;
    TRY(router.vnet().advertiser().disable(index));
    return Answer::nothing();
  }
  return fail("{}: sends no router advertisements", a["interface"]);
}

std::string prefix_text(const net::PrefixInformation& p) {
  return to_string(net::Prefix{p.prefix, p.length});
}

Result<Answer> show_advertisements(Router& router, const Arguments&) {
  std::string text;
  nlohmann::json all = nlohmann::json::array();
  for (const auto& row : router.vnet().advertiser().rows()) {
    const std::string& name = router.vnet().interfaces()[row.interface].name;
    const auto& c = row.config;
    text += fmt::format(
        "{}:\n  interval up to {} s, lifetime {} s{}{}{}\n  sent {}, solicitations {}\n", name,
        c.max_interval / seconds(1), c.lifetime / seconds(1), c.managed ? ", managed" : "",
        c.other ? ", other" : "", c.send_mtu ? ", MTU" : "", row.sent, row.solicited);
    nlohmann::json prefixes = nlohmann::json::array();
    for (const net::PrefixInformation& p : c.prefixes) {
      text += fmt::format("  prefix {} valid {} s, preferred {} s{}{}\n", prefix_text(p),
                          p.valid_lifetime.count(), p.preferred_lifetime.count(),
                          p.on_link ? "" : ", off-link", p.autonomous ? "" : ", no-autoconfig");
      prefixes.push_back(prefix_text(p));
    }
    all.push_back({{"interface", name},
                   {"interval_s", c.max_interval / seconds(1)},
                   {"lifetime_s", c.lifetime / seconds(1)},
                   {"managed", c.managed},
                   {"other", c.other},
                   {"prefixes", prefixes},
                   {"sent", row.sent},
                   {"solicited", row.solicited}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

void list_advertisements(const Router& router, ConfigurationLines& lines) {
  for (const auto& row : router.vnet().advertiser().rows()) {
    const std::string& name = router.vnet().interfaces()[row.interface].name;
    const auto& c = row.config;
    std::string text = fmt::format("ip6 nd {} ra-interval {} ra-lifetime {}", name,
                                   c.max_interval / seconds(1), c.lifetime / seconds(1));
    if (c.managed) text += " ra-managed-config-flag";
    if (c.other) text += " ra-other-config-flag";
    if (!c.send_mtu) text += " ra-no-mtu";
    for (const net::PrefixInformation& p : c.prefixes) {
      text += " prefix " + prefix_text(p);
      if (p.valid_lifetime != kUsualValid || p.preferred_lifetime != kUsualPreferred) {
        text += fmt::format(" {} {}", p.valid_lifetime.count(), p.preferred_lifetime.count());
      }
      if (!p.on_link) text += " off-link";
      if (!p.autonomous) text += " no-autoconfig";
    }
    lines.push_back({std::move(text), fmt::format("ip6 nd {} ra-suppress", name)});
  }
}

}  // namespace

Feature advertisement_feature() {
  return {
      {setting("ip6 nd <interface> [no ra-suppress | ra-managed-config-flag | "
               "ra-other-config-flag | ra-no-mtu | ra-interval <ra-interval:4..1800> | ra-lifetime "
               "<ra-lifetime:0..9000> | {prefixes: prefix <prefix> [<valid:0..4294967295> "
               "<preferred:0..4294967295>] [off-link|no-autoconfig]*}]*",
               "send router advertisements; of the interface's own prefixes unless some are given",
               advertise),
       setting("ip6 nd <interface> ra-suppress", "send none", suppress),
       {"show ip6 ra", "who sends router advertisements, and what they say", show_advertisements}},
      list_advertisements};
}

}  // namespace wh::router
