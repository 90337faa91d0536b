// Routes of both families and all tables, and what sources of packets must be routed back to.
#include "core/json_text.h"
#include "host/system.h"
#include "router/configuration.h"
#include "router/reports.h"
#include "vnet/route_file.h"
#include "vnet/show.h"
#include "vnet/static_routes.h"

namespace wh::router {
namespace {

using net::Family;
using vnet::NextHop;
using vnet::SourceCheck;

uint32_t table_of(const Arguments& a) {
  return static_cast<uint32_t>(a.number("table"));
}

Result<std::vector<NextHop>> hops_of(const Router& router, const Arguments& a) {
  const Family family = TRY(net::parse_prefix(a["prefix"])).address.family;
  std::vector<NextHop> hops;
  for (const Arguments& path : a.list("paths")) {
    NextHop hop;
    // Attached: a next hop of the family that is no address.
    if (family == Family::V6) hop.address = net::Ip6{};
    if (path.has("via")) hop.address = TRY(net::parse_ip(path["via"]));
    if (path.has("interface")) hop.interface = TRY(router.index_of(path["interface"]));
    hop.weight = static_cast<uint8_t>(path.number("weight", 1));
    hop.may_be_unreached = path.has("unreached");
    hops.push_back(hop);
  }
  return hops;
}

bool is_same_way(const NextHop& a, const NextHop& b) {
  return a.address == b.address && a.interface == b.interface;
}

// As VPP has it, a further next hop goes beside those that are there.
Result<Answer> add_route(Router& router, const Arguments& a) {
  const net::Prefix prefix = TRY(net::parse_prefix(a["prefix"]));
  if (a.has("drop")) {
    TRY(router.vnet().add_blackhole(prefix, table_of(a)));
    return Answer::nothing();
  }
  std::vector<NextHop> all;
  if (auto there = router.vnet().static_route(prefix, table_of(a))) {
    all = std::move(there->next_hops);
  }
  for (const NextHop& hop : TRY(hops_of(router, a))) {
    std::erase_if(all, [&](const NextHop& old) { return is_same_way(old, hop); });
    all.push_back(hop);
  }
  TRY(router.vnet().add_route(prefix, all, table_of(a)));
  return Answer::nothing();
}

Result<Answer> remove_route(Router& router, const Arguments& a) {
  const net::Prefix prefix = TRY(net::parse_prefix(a["prefix"]));
  std::vector<NextHop> left;
  if (auto there = router.vnet().static_route(prefix, table_of(a))) {
    left = std::move(there->next_hops);
  }
  const std::vector<NextHop> leaving = TRY(hops_of(router, a));
  if (a.has("drop") && !left.empty())
    return fail("no route {} via drop", to_string(prefix.network()));
  for (const NextHop& hop : leaving) {
    const size_t gone = std::erase_if(left, [&](const NextHop& old) {
      return old.address == hop.address && (hop.interface == 0 || old.interface == hop.interface);
    });
    if (gone == 0) {
      return fail("no route {} via {}", to_string(prefix.network()), to_string(hop.address));
    }
  }
  if (leaving.empty() || left.empty()) {
    TRY(router.vnet().remove_route(prefix, table_of(a)));
  } else {
    TRY(router.vnet().add_route(prefix, left, table_of(a)));
  }
  return Answer::nothing();
}

// Reads and sets a file's routes a few at a time, so that packets pass between; in each worker's
// router as well. All or nothing: once the first route is set, the rest follows, also when whoever
// asked has left.
class RouteLoading final : public Activity {
 public:
  RouteLoading(CommandLine& line, std::string name, Output out)
      : line_(line),
        router_(line.router()),
        name_(std::move(name)),
        out_(std::move(out)),
        next_(router_.loop(), [this] { go_on(); }) {}
  ~RouteLoading() override {
    if (is_read_) (void)apply(~size_t{0});  // Nobody is left to hear of an error.
    end();
    router_.each([this](Router& r) { loads_.erase(r.thread()); });
    // A worker that ended meanwhile took along what its load would give back.
    for (auto& [thread, load] : loads_) (void)load.release();
  }

  Result<void> start(const std::string& text, uint32_t table) {
    Result<void> result = line_.begin_change("ip route load " + name_);
    if (!result) return result;
    has_begun_ = true;
    router_.each([&](Router& r) {
      auto load = vnet::RouteLoad::make(r.vnet(), text, table);
      if (load) loads_[r.thread()] = std::move(*load);
      if (!load) result = tl::unexpected(std::move(load.error()));
    });
    if (result) next_.arm(router_.loop().now());
    return result;
  }
  void interrupt() override { is_interrupted_ = true; }
  bool must_end() const override { return is_read_; }

 private:
  // Less than half a millisecond's work.
  static constexpr size_t kPiece = 1024;

  // Does it to each load in its thread; true when all are through. Error: the first one's.
  Result<bool> on_each(const std::function<Result<bool>(vnet::RouteLoad&)>& act) {
    Result<bool> all = true;
    router_.each([&](Router& r) {
      auto done = act(*loads_.at(r.thread()));
      if (all && (!done || !*done)) all = std::move(done);
    });
    return all;
  }
  Result<bool> apply(size_t routes) {
    return on_each([&](vnet::RouteLoad& load) { return load.apply(routes); });
  }
  void go_on() {
    if (is_interrupted_ && !is_read_) return finish(fail("{}: interrupted", name_));
    auto done =
        is_read_ ? apply(kPiece) : on_each([](vnet::RouteLoad& load) { return load.read(kPiece); });
    if (!done) return finish(tl::unexpected(std::move(done.error()).within(name_)));
    if (*done && is_read_) return finish(answer());
    is_read_ = is_read_ || *done;
    next_.arm(router_.loop().now());
  }
  Answer answer() const {
    const size_t routes = loads_.at(router_.thread())->size();
    return Answer::of_both(fmt::format("{}: {} routes\n", name_, routes), {{"routes", routes}});
  }
  void finish(Result<Answer> answer) {
    end();
    out_.finish(std::move(answer));  // May destroy this.
  }
  void end() {
    if (std::exchange(has_begun_, false)) line_.end_change();
  }

  CommandLine& line_;
  Router& router_;
  std::string name_;
  Output out_;
  std::map<uint32_t, std::unique_ptr<vnet::RouteLoad>> loads_;  // By thread.
  bool has_begun_ = false, is_read_ = false, is_interrupted_ = false;
  Timer next_;
};

std::unique_ptr<Activity> load_routes(CommandLine& line, const Arguments& a, Output out) {
  const auto done = out.done;
  auto loading = std::make_unique<RouteLoading>(line, a["file"], std::move(out));
  auto started = [&]() -> Result<void> {
    const std::string text = TRY(host::read_file(a["file"]));
    return loading->start(std::string(without_mark(text)), table_of(a));
  }();
  return begun(std::move(loading), std::move(started), done);
}

void add_rows(nlohmann::json& all, const vnet::FibReport& report) {
  for (nlohmann::json& row : to_json(report)) {
    row["table"] = report.vrf;
    all.push_back(std::move(row));
  }
}

// How many prefixes of each length there are.
Result<Answer> show_summary(Router& router, const Arguments& a, Family family) {
  std::string text;
  auto all = nlohmann::json::array();
  for (const uint32_t id : router.vnet().vrfs()) {
    if (a.has("table") && id != table_of(a)) continue;
    text += vnet::format_heading({family, id, {}});
    text += fmt::format("{:>20}{:>16}\n", "Prefix length", "Count");
    for (const auto& [length, count] : vnet::fib_lengths(router.vnet(), family, id)) {
      text += fmt::format("{:>20}{:>16}\n", length, count);
      all.push_back({{"table", id}, {"length", length}, {"count", count}});
    }
  }
  return Answer::of_both(std::move(text), std::move(all));
}

Result<Answer> show_routes(Router& router, const Arguments& a, Family family) {
  std::vector<vnet::FibReport> reports;
  if (a.has("summary")) return show_summary(router, a, family);
  if (a.has("prefix")) {
    const net::Prefix prefix = TRY(net::parse_prefix(a["prefix"])).network();
    if (prefix.address.family == family) {
      reports.push_back(fib_report(router, family, table_of(a), std::span(&prefix, 1)));
    }
    if (reports.empty() || reports[0].rows.empty()) {
      return fail("no route {}; accepted: a prefix as `show ip fib` has it, or an address",
                  a["prefix"]);
    }
  } else if (a.has("address")) {
    const auto address = TRY(net::parse_ip(a["address"]));
    reports.push_back(fib_report(router, address, table_of(a)));
  } else {
    for (const uint32_t id : router.vnet().vrfs()) {
      if (a.has("table") && id != table_of(a)) continue;
      reports.push_back(fib_report(router, family, id));
    }
  }
  const auto shared = std::make_shared<std::vector<vnet::FibReport>>(std::move(reports));
  return Answer{[shared] {
                  std::string text;
                  for (const vnet::FibReport& report : *shared) text += format(report);
                  return text;
                },
                [shared] {
                  auto all = nlohmann::json::array();
                  for (const vnet::FibReport& report : *shared) add_rows(all, report);
                  return all;
                }};
}

// A whole table, or all of a family, told in pieces: forwarding goes on meanwhile, and the words
// wait for whoever reads them. Routes that come meanwhile may be missing, those that go are.
class RouteListing final : public Activity {
 public:
  RouteListing(Router& router, Family family, std::vector<uint32_t> tables, Output out)
      : router_(router),
        family_(family),
        tables_(std::move(tables)),
        out_(std::move(out)),
        next_(router.loop(), [this] { go_on(); }) {
    next_.arm(router.loop().now());
  }
  void interrupt() override { is_interrupted_ = true; }

 private:
  // A quarter of a millisecond's work.
  static constexpr size_t kPiece = 128;

  void go_on() {
    if (is_interrupted_) return finish(fail("interrupted"));
    if (!out_.has_room()) return next_.arm(router_.loop().now() + 1ms);
    if (!last_) {  // The table at hand is told.
      if (tables_.empty()) {
        const auto rows = std::make_shared<nlohmann::json>(std::move(rows_));
        return finish(Answer{[] { return std::string(); }, [rows] { return std::move(*rows); }});
      }
      table_ = tables_.front();
      tables_.erase(tables_.begin());
      if (out_.is_text) out_.print(vnet::format_heading({family_, table_, {}}));
    }
    const auto prefixes = vnet::fib_prefixes(router_.vnet(), family_, table_, kPiece, last_);
    last_ = prefixes.empty() ? std::nullopt : std::optional(prefixes.back());
    const auto report = fib_report(router_, family_, table_, prefixes);
    if (out_.is_text) {
      out_.print(format_rows(report));
    } else {
      const size_t before = rows_.size();
      add_rows(rows_, report);
      for (size_t i = before; i < rows_.size(); ++i) bytes_ += json_text(rows_[i]).size() + 1;
      if (auto few = out_.check_data(bytes_); !few) {
        return finish(tl::unexpected(std::move(few.error())));
      }
    }
    next_.arm(router_.loop().now());
  }
  void finish(Result<Answer> answer) {
    out_.finish(std::move(answer));  // May destroy this.
  }

  Router& router_;
  Family family_;
  std::vector<uint32_t> tables_;  // Still to be told.
  Output out_;
  uint32_t table_ = 0;
  std::optional<net::Prefix> last_;  // That was told of it.
  nlohmann::json rows_ = nlohmann::json::array();
  size_t bytes_ = 0;  // Of rows_, as text.
  bool is_interrupted_ = false;
  Timer next_;
};

std::unique_ptr<Activity> list_table(CommandLine& line, const Arguments& a, Output out,
                                     Family family) {
  if (a.has("address") || a.has("prefix") || a.has("summary")) {
    out.done(show_routes(line.router(), a, family));
    return nullptr;
  }
  std::vector<uint32_t> tables = line.router().vnet().vrfs();
  if (a.has("table")) tables = {table_of(a)};
  // Too much is refused before any of it is gathered, where that is plain.
  constexpr size_t kLeastOfRow = 64;
  size_t bytes = 0;
  for (const uint32_t table : tables) {
    for (const auto& [length, count] : vnet::fib_lengths(line.router().vnet(), family, table)) {
      bytes += count * kLeastOfRow;
    }
  }
  if (auto few = out.check_data(bytes); !few) {
    out.done(tl::unexpected(std::move(few.error())));
    return nullptr;
  }
  return std::make_unique<RouteListing>(line.router(), family, std::move(tables), std::move(out));
}

Command show_command(std::string syntax, std::string help, Family family) {
  return {.syntax = std::move(syntax),
          .help = std::move(help),
          .run = [=](Router& router, const Arguments& a) { return show_routes(router, a, family); },
          .start = [=](CommandLine& line, const Arguments& a,
                       Output out) { return list_table(line, a, std::move(out), family); }};
}

Result<Answer> show_memory(Router& router, const Arguments&) {
  return Answer::of(vnet::fib_memory_report(router.vnet()));
}

// --- source checks ---

const char* check_name(SourceCheck check) {
  switch (check) {
    case SourceCheck::Off: return "off";
    case SourceCheck::Loose: return "loose";
    case SourceCheck::Strict: return "strict";
  }
  UNREACHABLE();
}

Command::Run set_check(Family family) {
  return [family](Router& router, const Arguments& a) -> Result<Answer> {
    const SourceCheck check = a.has("del")     ? SourceCheck::Off
                              : a.has("loose") ? SourceCheck::Loose
                                               : SourceCheck::Strict;
    TRY(router.vnet().set_source_check(TRY(router.index_of(a["interface"])), family, check));
    return Answer::nothing();
  };
}

Result<Answer> show_checks(Router& router, const Arguments&) {
  std::string text = fmt::format("{:<32}{:<10}{}\n", "Interface", "ip4", "ip6");
  nlohmann::json all = nlohmann::json::array();
  const auto& table = router.vnet().interfaces();
  for (uint16_t i = 1; i < table.size(); ++i) {
    if (table[i].device == nullptr) continue;
    const char* four = check_name(router.vnet().source_check(i, Family::V4));
    const char* six = check_name(router.vnet().source_check(i, Family::V6));
    text += fmt::format("{:<32}{:<10}{}\n", table[i].name, four, six);
    all.push_back({{"interface", table[i].name}, {"ip4", four}, {"ip6", six}});
  }
  return Answer::of_both(std::move(text), std::move(all));
}

// --- what is set ---

ConfigurationLine line_of(const Router& router, const vnet::Vnet::StaticRoute& route) {
  std::string what = to_string(route.prefix);
  if (route.vrf != 0) what += fmt::format(" table {}", route.vrf);
  std::string via = route.next_hops.empty() ? " via drop" : "";
  for (const NextHop& hop : route.next_hops) {
    via += " via";
    if (!hop.address.is_unspecified()) via += " " + to_string(hop.address);
    if (hop.interface != 0) via += " " + router.vnet().interfaces()[hop.interface].name;
    if (hop.may_be_unreached) via += " unreached";
    if (hop.weight != 1) via += fmt::format(" weight {}", hop.weight);
  }
  return {"ip route add " + what + via, "ip route del " + what};
}

void list_checks(const Router& router, ConfigurationLines& lines) {
  const auto& table = router.vnet().interfaces();
  for (uint16_t i = 1; i < table.size(); ++i) {
    for (const auto& [family, word] : {std::pair(Family::V4, "ip"), std::pair(Family::V6, "ip6")}) {
      const SourceCheck check = router.vnet().source_check(i, family);
      if (table[i].device == nullptr || check == SourceCheck::Off) continue;
      const auto text = fmt::format("set interface {} source-check {}", word, table[i].name);
      lines.push_back({.line = fmt::format("{} {}", text, check_name(check)),
                       .undo = text + " del",
                       .stage = LoadStage::Filter});
    }
  }
}

ConfigurationWalk walk_routes(const Router& router) {
  constexpr size_t kPiece = 128;
  const auto walk = std::make_shared<vnet::StaticRouteWalk>(router.vnet());
  return [&router, walk](ConfigurationLines& lines) {
    std::vector<vnet::Vnet::StaticRoute> routes;
    const bool is_more = walk->next(kPiece, routes);
    for (const auto& route : routes) lines.push_back(line_of(router, route));
    if (!is_more) list_checks(router, lines);
    return is_more;
  };
}

}  // namespace

Feature route_feature() {
  return {
      {setting(
           "ip route add <prefix> [table <table>] ([via] drop | {paths: via (<via:address> "
           "[<interface>] | <interface>) [unreached] [weight <weight:1..255>]}) [table <table>]",
           "send a prefix to one or more next hops, or nowhere", add_route),
       setting("ip route del <prefix> [table <table>] [[via] drop | {paths: via (<via:address> "
               "[<interface>] | <interface>)}] [table <table>]",
               "take a route back, or some of its next hops", remove_route),
       {.syntax = "ip route load <file> [table <table>]",
        .help = "set the routes of a file, a line each: 192.0.2.0/24 via 10.0.0.1",
        .start = load_routes},
       show_command("show ip fib [table <table>] [summary | <address:ip4> | <prefix>] "
                    "[table <table>]",
                    "routes, one, the one that an address takes, or how many of each length",
                    Family::V4),
       show_command("show ip6 fib [table <table>] [summary | <address:ip6> | <prefix>] "
                    "[table <table>]",
                    "the same of IPv6", Family::V6),
       {"show fib memory", "how many routes each table has, and the memory they take", show_memory},
       setting("set interface ip source-check <interface> [strict|loose|del]",
               "drop packets whose source no route leads back to: by this interface, or any",
               set_check(Family::V4)),
       setting("set interface ip6 source-check <interface> [strict|loose|del]", "the same of IPv6",
               set_check(Family::V6)),
       {"show ip source-check", "what each interface asks of sources", show_checks}},
      {},
      walk_routes};
}

}  // namespace wh::router
