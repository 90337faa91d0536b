// What belongs to whoever types: ping, exec, help, quit; and the tunables.
#include "router/command_line.h"
#include "router/reports.h"
#include "vnet/ping.h"

namespace wh::router {
namespace {

using nlohmann::json;

double milliseconds(Duration d) {
  return static_cast<double>(d.count()) / 1e6;
}

std::string describe(const net::IpError& e) {
  using Kind = net::IpError::Kind;
  switch (e.kind) {
    case Kind::PacketTooBig: return fmt::format("packet too big, the next link takes {}", e.mtu);
    case Kind::HostUnreachable: return "host unreachable";
    case Kind::NetUnreachable: return "network unreachable";
    case Kind::PortUnreachable: return "port unreachable";
    case Kind::ProtocolUnreachable: return "protocol unreachable";
    case Kind::AdminProhibited: return "administratively prohibited";
    case Kind::TimeExceeded: return "time exceeded on the way";
    case Kind::ReassemblyTimeExceeded: return "reassembly took too long";
    case Kind::ParameterProblem: return "parameter problem";
  }
  UNREACHABLE();
}

// Sends echo requests and prints the answers as the article shows them.
class PingActivity final : public Activity {
 public:
  PingActivity(Router& router, vnet::Ping::Config config, Output out)
      : out_(std::move(out)),
        ping_(router.vnet(), config,
              {.on_answer = [this](const vnet::Ping::Answer& a) { answered(a); },
               .on_error = [this](const net::IpError& e) { refused(e); },
               .on_done = [this](const vnet::PingStatistics& s) { finish(s); }}) {}

  Result<void> start() { return ping_.start(); }
  void interrupt() override {
    ping_.stop();
    finish(ping_.statistics());
  }

 private:
  void answered(const vnet::Ping::Answer& a) {
    out_.print(fmt::format("{} bytes from {}: icmp_seq={} ttl={} time={:.4f} ms{}\n", a.bytes,
                           to_string(a.from), a.sequence, a.ttl, milliseconds(a.rtt),
                           a.duplicate ? " (again)" : ""));
  }
  void refused(const net::IpError& e) {
    out_.print(fmt::format("{}: {}\n", to_string(e.destination), describe(e)));
  }
  void finish(const vnet::PingStatistics& s) {
    const uint64_t lost = s.sent - std::min(s.sent, s.received);
    const auto loss = s.sent == 0 ? 0 : lost * 100 / s.sent;
    Answer answer{[=] {
                    return fmt::format("\nStatistics: {} sent, {} received, {}% packet loss\n",
                                       s.sent, s.received, loss);
                  },
                  [=] {
                    return json{{"sent", s.sent},
                                {"received", s.received},
                                {"loss_percent", loss},
                                {"min_ms", milliseconds(s.min)},
                                {"average_ms", milliseconds(s.average())},
                                {"max_ms", milliseconds(s.max)}};
                  }};
    out_.finish(std::move(answer));  // May destroy this.
  }

  Output out_;
  vnet::Ping ping_;
};

std::unique_ptr<Activity> start_ping(CommandLine& line, const Arguments& a, Output out) {
  // The article's reports say 116 bytes: an ICMP header and this much.
  constexpr uint64_t kData = 108;
  const auto address = net::parse_ip(a["address"]);  // Its type was checked.
  vnet::Ping::Config config{.destination = *address,
                            .size = static_cast<uint32_t>(a.number("size", kData)),
                            .count = a.number("repeat", 5)};
  if (a.has("interval")) config.interval = std::chrono::milliseconds(a.number("interval"));
  if (a.has("table-id")) {
    const auto id = static_cast<uint32_t>(a.number("table-id"));
    config.table = MUST(line.router().vnet().table_of(id));  // Its type was checked.
  }
  const auto done = out.done;
  const auto from = source_of(line.router(), a, *address, config.table);
  if (!from) {
    done(tl::unexpected(from.error()));
    return nullptr;
  }
  config.source = *from;
  if (a.has("source")) config.interface = MUST(line.router().index_of(a["source"]));  // The same.
  auto ping = std::make_unique<PingActivity>(line.router(), config, std::move(out));
  auto started = ping->start();
  return begun(std::move(ping), std::move(started), done);
}

Result<Answer> quit(Router&, const Arguments&) {
  return Answer::nothing();  // Whoever asks has its own end; this is for scripts.
}

Result<Answer> halt(Router& router, const Arguments&) {
  router.quit();
  return Answer::nothing();
}

std::unique_ptr<Activity> help(CommandLine& line, const Arguments& a, Output out) {
  const Grammar& grammar = line.grammar();
  std::string text;
  json all = json::array();
  for (size_t i = 0; i < grammar.size(); ++i) {
    if (a.has("word") && grammar.syntax(i).find(a["word"]) == std::string::npos) continue;
    text += fmt::format("{}\n    {}\n", grammar.syntax(i), grammar.help(i));
    all.push_back({{"syntax", grammar.syntax(i)}, {"help", grammar.help(i)}});
  }
  out.done(Answer{[text] { return text; }, [all] { return all; }});
  return nullptr;
}

Result<Answer> show_sysctl(Router& router, const Arguments& a) {
  const auto leaves = TRY(sysctl_report(router, a.get("name", "")));
  std::string text;
  json all = json::object();
  for (const SysctlTree::Leaf& leaf : leaves) {
    text += fmt::format("{}: {}\n", leaf.name, leaf.value);
    all[leaf.name] = leaf.value;
  }
  return Answer{[text] { return text; }, [all] { return all; }};
}

Result<Answer> set_sysctl(Router& router, const Arguments& a) {
  TRY(router.vnet().sysctl().set(a["name"], a["value"]));
  return Answer::nothing();
}

void list_settings(const Router& router, ConfigurationLines& lines) {
  std::vector<SysctlTree::Change> changes;
  for (const auto& [name, first] : router.first_tunables()) {
    // An interface's own tunables go with it.
    const auto now = router.vnet().sysctl().get(name);
    if (now && *now != first) changes.push_back({name, first, *now});
  }
  router.vnet().sysctl().sort_for_setting(changes);
  for (const SysctlTree::Change& c : changes) {
    lines.push_back({fmt::format("set sysctl {} {}", c.name, quote_word(c.to)),
                     fmt::format("set sysctl {} {}", c.name, quote_word(c.from))});
  }
}

Result<Answer> show_version(Router&, const Arguments&) {
  return Answer::of_text("wheelhouse v" WH_VERSION);
}

}  // namespace

Feature session_feature() {
  return {
      {{.syntax = "ping <address> [source <source:interface> | table-id <table-id:table> | repeat "
                  "<repeat:1..1000000> | "
                  "size <size:0..65507> | interval <interval:1..60000>]*",
        .help = "echo requests; the interval is in milliseconds",
        .start = start_ping},
       {"show sysctl [<name:word>]", "the tunables and counters below a name", show_sysctl},
       setting("set sysctl <name:word> <value:word>", "change a tunable", set_sysctl),
       {"show version", "what this is", show_version},
       {.syntax = "help [<word>]", .help = "every command, or those with a word", .start = help},
       {"quit", "leave the prompt", quit},
       {"halt", "end the router", halt}},
      list_settings};
}

}  // namespace wh::router
