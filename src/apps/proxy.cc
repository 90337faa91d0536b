// wh proxy: programs of this machine on Wheelhouse's own TCP.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/commands.h"
#include "apps/parse.h"
#include "host/descriptor_limit.h"
#include "host/interrupt.h"
#include "lab/proxy.h"

namespace wh::apps {
namespace {

constexpr const char* kProxyDescription =
    "Carries real programs' connections over Wheelhouse's own TCP, paced if asked by a fixed\n"
    "rate or by Dynamic Goodput Pacing, through a TAP device in the network namespace that it is\n"
    "started in. Runs until interrupted.";

constexpr const char* kProxyFooter =
    "Examples:\n"
    "  wh proxy --serve 80 --flow dgp,fcc=5Mbps --log -   serve the web by DGP, a line a client\n"
    "  wh proxy --serve 5201 --rate 100Mbps &        our TCP accepts 10.77.0.2:5201 for the "
    "program\n"
    "  iperf3 -s & iperf3 -c 10.77.0.2 -R            that listens on 127.0.0.1:5201\n"
    "  wh proxy --reach 5202=10.77.0.1:5201 &        what connects to 127.0.0.1:5202 goes out by\n"
    "  iperf3 -c 127.0.0.1 -p 5202                   our TCP to 10.77.0.1:5201\n"
    "\nTo try it without root: unshare -rn, then `ip link set lo up` and the lines above.\n"
    "Exit status: 0; 2 when asked wrongly or the machine cannot.";

struct ProxyOptions {
  std::string device = "wh0", link, flow, rate, congestion, log, trace, duration, poll;
  std::vector<std::string> ours = {"10.77.0.2/24", "fd77::2/64"};
  std::vector<std::string> kernels = {"10.77.0.1/24", "fd77::1/64"};
  std::vector<std::string> serve, reach, sysctls;
  uint64_t seed = 1;
  bool quiet = false;
};

void declare(CLI::App& app, ProxyOptions& o) {
  app.footer(kProxyFooter);
  app.add_option("--serve", o.serve,
                 "PORT[=ADDRESS:PORT]: what our TCP accepts goes to this socket of a program")
      ->allow_extra_args(false);
  app.add_option("--reach", o.reach,
                 "PORT=ADDRESS:PORT: what connects to 127.0.0.1:PORT goes out by our TCP")
      ->allow_extra_args(false);
  app.add_option("--tap", o.device, "Name of the device to make")->capture_default_str();
  app.add_option("--address", o.ours, "Our addresses")->capture_default_str();
  app.add_option("--kernel", o.kernels, "The kernel's addresses on the device")
      ->capture_default_str();
  app.add_option("--link", o.link, "Put a link between the two, as `wh pace --link` has it");
  app.add_option("--flow", o.flow,
                 "How our side sends, as `wh pace --flow` has it: a control's name or dgp, and of "
                 "the keys cc, rate, profile, fcc: dgp,fcc=5Mbps [the stack's control, unpaced]");
  app.add_option("--rate", o.rate, "The same as rate= there: pace, counted in Ethernet frames");
  app.add_option("--cc", o.congestion, "The same as cc= there: congestion control");
  app.add_option("--sysctl", o.sysctls, "NAME=VALUE for our stack; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--poll", o.poll,
                 "Poll, not sleep, so long before each deadline: gaps of microseconds for a "
                 "processor's time [never]");
  app.add_option("--log", o.log,
                 "A line into this file for each connection that has ended, fields between tabs (- "
                 "for standard output)");
  app.add_option("--trace", o.trace,
                 "Write every connection's decisions into this folder, JSON lines "
                 "(docs/blackbox.md)");
  app.add_option("--duration", o.duration, "Stop after this long [until interrupted]");
  app.add_option("--seed", o.seed, "What the link's chances are drawn from")
      ->transform(whole_number())
      ->capture_default_str();
  app.add_flag("-q,--quiet", o.quiet, "Say nothing at the end");
}

Result<std::vector<net::Prefix>> prefixes(const std::vector<std::string>& texts) {
  std::vector<net::Prefix> parsed;
  for (const std::string& text : texts) parsed.push_back(TRY(net::parse_prefix(text)));
  return parsed;
}

Result<std::vector<lab::Forward>> forwards(const char* option,
                                           const std::vector<std::string>& texts) {
  std::vector<lab::Forward> parsed;
  for (const std::string& text : texts) {
    parsed.push_back(TRY(named(option, lab::parse_forward(text))));
  }
  return parsed;
}

// What `wh pace` says of a flow, as far as it is for a proxy to say.
Result<lab::FlowSpec> flow_of(const ProxyOptions& o) {
  std::vector<std::string> words;
  if (!o.flow.empty()) words.push_back(o.flow);
  if (!o.congestion.empty()) words.push_back("cc=" + o.congestion);
  if (!o.rate.empty()) words.push_back("rate=" + o.rate);
  if (words.empty()) return lab::FlowSpec{.cc = ""};
  const std::string text = fmt::format("{}", fmt::join(words, ","));
  lab::FlowSpec flow = TRY(lab::parse_flow(text));
  const lab::FlowSpec of_a_proxy{.from = "sender",
                                 .to = "receiver",
                                 .cc = flow.cc,
                                 .rate = flow.rate,
                                 .is_dgp = flow.is_dgp,
                                 .fcc = flow.fcc,
                                 .fcc_share = flow.fcc_share,
                                 .is_fill = flow.is_fill};
  if (flow != of_a_proxy) {
    return fail(
        "--flow: '{}': programs say when and what is sent; accepted: the keys cc, rate, profile, "
        "fcc",
        text);
  }
  if (o.flow.empty() && o.congestion.empty()) flow.cc.clear();  // The stack's.
  return flow;
}

Result<lab::Proxy::Config> config_of(const ProxyOptions& o) {
  if (o.serve.empty() && o.reach.empty()) {
    return fail("nothing to carry; accepted: --serve PORT, --reach PORT=ADDRESS:PORT, or several");
  }
  for (const std::string& text : o.reach) {
    if (text.find('=') != std::string::npos) continue;
    return fail(
        "--reach: '{}' says no target; accepted: PORT=ADDRESS:PORT, such as "
        "5202=10.77.0.1:5201",
        text);
  }
  lab::Proxy::Config config{.device = o.device,
                            .flow = TRY(flow_of(o)),
                            .sysctls = o.sysctls,
                            .log = o.log,
                            .trace = o.trace,
                            .seed = o.seed};
  config.ours = TRY(named("--address", prefixes(o.ours)));
  config.kernels = TRY(named("--kernel", prefixes(o.kernels)));
  config.serve = TRY(forwards("--serve", o.serve));
  config.reach = TRY(forwards("--reach", o.reach));
  if (!o.link.empty()) config.link = TRY(named("--link", net::parse_link_config(o.link)));
  return config;
}

Result<void> run(const ProxyOptions& o) {
  auto config = TRY(config_of(o));
  host::RealLoop::Config time;
  if (!o.poll.empty()) time.spin = TRY(read_time("--poll", o.poll, 0s, 1s));
  std::optional<Duration> limit;
  if (!o.duration.empty()) limit = TRY(read_time("--duration", o.duration, 1ns, lab::kLongestRun));
  host::allow_all_descriptors();  // Each connection has a socket.
  auto loop = TRY(host::RealLoop::make(time));
  auto proxy = TRY(lab::Proxy::make(std::move(config), *loop));
  host::InterruptGuard interrupt([&] { loop->stop(); });
  if (limit) {
    loop->run_for(*limit);
  } else {
    loop->run();
  }
  TRY(proxy->finish());
  const auto& t = proxy->totals();
  if (!o.quiet) {
    fmt::print("{} connections, {} refused, {} open; {} bytes to the network, {} to programs\n",
               t.connections, t.refused, t.open, t.to_network, t.to_program);
  }
  return {};
}

}  // namespace

int proxy_main(int argc, char** argv) {
  CLI::App app(kProxyDescription, "wh proxy");
  ProxyOptions options;
  declare(app, options);
  refuse_empty(app);
  if (const auto status = parse(app, argc, argv)) return *status;
  if (auto done = run(options); !done) {
    fmt::print(stderr, "wh proxy: {}\n", done.error().text);
    return kUsage;
  }
  return kYes;
}

}  // namespace wh::apps
