// wh sockstat, wh tcpdrop and wh ip: what test scripts ask of the machine, answered by the stack
// that runs above them (docs/packetdrill.md).
#include <CLI/CLI.hpp>

#include "apps/commands.h"
#include "apps/control_client.h"
#include "apps/json.h"
#include "apps/parse.h"

namespace wh::apps {
namespace {

constexpr const char* kNoControl =
    "no stack to ask: run this from a script of packetdrill's, with the object loaded\n";

// FreeBSD's sockstat prints ten characters of a command's name.
constexpr const char* kOwner = "packetdril";

std::string port_of(const std::string& endpoint) {
  return endpoint.substr(endpoint.rfind(':') + 1);
}

struct SocketFilter {
  bool v4 = false, v6 = false, states = false, connected = false, listening = false, json = false,
       numeric = false;
  std::vector<std::string> ports;

  bool admits(const std::vector<std::string>& f) const {
    if (v4 != v6 && f[0] != (v4 ? "4" : "6")) return false;
    const bool is_listening = f[3] == "LISTEN";
    if (listening != connected && listening != is_listening) return false;
    if (ports.empty()) return true;
    for (const std::string& port : ports) {
      if (port_of(f[1]) == port || port_of(f[2]) == port) return true;
    }
    return false;
  }
};

int print_sockets(const std::string& text, const SocketFilter& filter) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  if (!filter.json) {
    fmt::print("{:<8} {:<10} {:<6} {:<6} {:<5} {:<30} {:<30}{}\n", "USER", "COMMAND", "PID", "FD",
               "PROTO", "LOCAL ADDRESS", "FOREIGN ADDRESS", filter.states ? " STATE" : "");
  }
  for (const std::string& line : lines_of(text)) {
    const auto f = fields_of(line);
    if (f.size() != 5 || !filter.admits(f)) continue;
    const bool has_owner = f[4] != "-1";
    if (filter.json) {
      all.push_back({{"protocol", "tcp" + f[0]},
                     {"local", f[1]},
                     {"foreign", f[2]},
                     {"state", f[3]},
                     {"descriptor", has_owner ? std::stoi(f[4]) : -1}});
      continue;
    }
    fmt::print("{:<8} {:<10} {:<6} {:<6} {:<5} {:<30} {:<30}{}\n", has_owner ? "root" : "?",
               has_owner ? kOwner : "?", has_owner ? "1" : "?", has_owner ? f[4] : "?",
               "tcp" + f[0], f[1], f[2], filter.states ? " " + f[3] : "");
  }
  if (filter.json) fmt::print("{}", to_text(all));
  return kYes;
}

// Asks, and prints what went wrong when something did.
std::optional<std::string> ask(const char* command, const std::vector<std::string>& words) {
  const auto name = control_name();
  if (!name) {
    fmt::print(stderr, "{}: {}", command, kNoControl);
    return std::nullopt;
  }
  auto answer = ask_control(*name, words);
  if (!answer) {
    fmt::print(stderr, "{}: {}\n", command, answer.error().text);
    return std::nullopt;
  }
  return *answer;
}

}  // namespace

int sockstat_main(int argc, char** argv) {
  CLI::App app("Lists the TCP sockets of a stack under test.", "sockstat");
  app.footer("Example, as a script's shell line:\n  `sockstat -4 -P tcp -s | grep TIME_WAIT`");
  SocketFilter filter;
  app.add_flag("-4", filter.v4, "IPv4 only");
  app.add_flag("-6", filter.v6, "IPv6 only");
  app.add_flag("-s", filter.states, "With the protocol's state");
  app.add_flag("-c", filter.connected, "Connected sockets only");
  app.add_flag("-l", filter.listening, "Listening sockets only");
  app.add_flag("-n", filter.numeric, "Numbers, not names (always so)");
  std::string protocol = "tcp";
  app.add_option("-P", protocol, "Only of this protocol; it shows tcp")
      ->check(CLI::IsMember({"tcp"}));
  app.add_option("-p", filter.ports, "Only with one of these ports, separated by commas")
      ->delimiter(',');
  app.add_flag("--json", filter.json, "A JSON array");
  if (const auto status = parse(app, argc, argv)) return *status;
  const auto text = ask("sockstat", {"sockets"});
  return text ? print_sockets(*text, filter) : kUsage;
}

int tcpdrop_main(int argc, char** argv) {
  CLI::App app("Ends connections of a stack under test without a word to the peer.", "tcpdrop");
  app.footer("Example, as a script's shell line:\n  `tcpdrop -s TIME_WAIT`");
  std::string state;
  bool all = false;
  auto* by_state = app.add_option("-s", state, "Connections in this state, as sockstat names it");
  app.add_flag("-a", all, "All connections")->excludes(by_state);
  if (const auto status = parse(app, argc, argv)) return *status;
  if (state.empty() && !all) {
    fmt::print(stderr, "tcpdrop: which? give -s STATE or -a\n");
    return kUsage;
  }
  const auto dropped = ask("tcpdrop", {"drop", all ? "all" : state});
  if (!dropped) return kUsage;
  fmt::print("{} dropped\n", *dropped);
  return *dropped == "0" ? kNo : kYes;
}

// Of ip(8), what scripts need: the path's MTU, and forgetting what was learnt of paths, of which
// this stack keeps nothing.
int ip_main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  std::erase_if(words, [](const std::string& w) { return w.starts_with("-"); });
  if (words.empty() || std::find(argv + 1, argv + argc, std::string("--help")) != argv + argc) {
    fmt::print(
        "usage: ip route change DESTINATION ... mtu [lock] BYTES\n"
        "       ip link set dev tun0 mtu BYTES\n"
        "       ip tcp_metrics flush all\n"
        "\nExample, as a script's shell line:\n  `ip link set dev tun0 mtu 1280`\n");
    return words.empty() && argc < 2 ? kUsage : kYes;
  }
  if (words[0] == "tcp_metrics") return kYes;
  auto at = std::find(words.begin(), words.end(), "mtu");
  if ((words[0] != "route" && words[0] != "link") || at == words.end()) {
    fmt::print(stderr,
               "ip: accepted: route change ... mtu BYTES, link set ... mtu BYTES, "
               "tcp_metrics flush\n");
    return kUsage;
  }
  if (++at != words.end() && *at == "lock") ++at;
  return at != words.end() && ask("ip", {"mtu", *at}) ? kYes : kUsage;
}

// Of tc(8): scripts take the queue before the interface away, and there is none.
int tc_main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "qdisc") return kYes;
  fmt::print(argc > 1 && std::string_view(argv[1]) == "--help" ? stdout : stderr,
             "usage: tc qdisc ...    does nothing: nothing queues before the interface\n"
             "\nExample, as a script's shell line:\n  `tc qdisc replace dev tun0 root pfifo`\n");
  return argc > 1 && std::string_view(argv[1]) == "--help" ? kYes : kUsage;
}

}  // namespace wh::apps
