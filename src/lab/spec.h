// What an experiment is, before it runs: hosts, links between them, flows across, for how long,
// from which seed. Read from flags or from a lab file (TOML), and printed as a lab file.
//
//   seed = 1
//   duration = "30s"
//   [[host]]
//   name = "sender"
//   [[host]]
//   name = "receiver"
//   kind = "kernel"            # Linux's own TCP, in a namespace and in real time; absent: ours
//   [[link]]
//   from = "sender"
//   to = "receiver"
//   rate = "40Mbps"            # the keys of net/link/link_config.h
//   delay = "10ms"
//   [link.rev]                 # and those of the way back
//   rate = "10Mbps"
//   [[flow]]
//   cc = "newreno"
//   rate = "12Mbps"            # pace at this rate of Ethernet frames; absent: not paced
//
// parse_lab(print_lab(spec)) == spec. Errors name the file, the line, the key, and what would be
// accepted.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/units.h"
#include "lab/workload.h"
#include "net/link/link_config.h"

namespace wh::lab {

enum class HostKind : uint8_t {
  Vnet,    // A network stack instance of this process, in virtual time when all hosts are.
  Kernel,  // The Linux kernel's stack in a network namespace, behind a TAP interface; makes time
           // real.
};

struct HostSpec {
  std::string name;
  HostKind kind = HostKind::Vnet;
  bool operator==(const HostSpec&) const = default;
};

struct LinkSpec {
  std::string name;
  std::string from, to;  // Hosts; `from` sends by the forward direction of the configuration.
  net::LinkConfig config;
};

struct FlowSpec {
  std::string name;      // Made of what it is when empty; see flow_names().
  std::string from, to;  // Hosts: data goes this way.
  std::string cc = "newreno";
  std::optional<Rate> rate;    // Pace at this rate, counted in Ethernet frames; nothing: unpaced.
  bool is_dgp = false;         // Paced by Dynamic Goodput Pacing, over `cc`.
  std::optional<Rate> fcc;     // DGP's FCC; zero: no cap; nothing: the stack's default.
  uint32_t fcc_share = 0;      // FCC in percent of the path's measured capacity; 0: fixed.
  bool is_fill = false;        // Paced at cwnd / RTT.
  Duration start{};            // After the beginning of the run.
  std::optional<Bytes> bytes;  // Stop after so much payload; nothing: until the end.
  uint32_t count = 1;          // So many alike.
  uint8_t ip = 4;              // 4 or 6.
  Workload workload = {};      // Excludes `bytes` unless it is Bulk.
  bool background = false;     // There for the others' sake: see Report::jain, and `--alone`.
  // The round trip of an empty path for this flow; only on its way into pace_lab(), which makes a
  // host and a link of it.
  std::optional<Duration> rtt = {};
  bool is_bulk() const { return std::holds_alternative<Bulk>(workload); }
  bool operator==(const FlowSpec&) const = default;
};

struct LabSpec {
  uint64_t seed = 1;
  Duration duration = 30s;
  Duration warmup{};  // Not counted: goodput, RTT and queue statistics begin here.
  // Each flow starts up to so much later, by chance: so that repetitions differ.
  Duration start_jitter{};
  std::vector<std::string> sysctls;  // NAME=VALUE, applied to every vnet.
  std::vector<HostSpec> hosts;
  std::vector<LinkSpec> links;
  std::vector<FlowSpec> flows;
  // What a report calls each connection, for a lab that is a part of another one and keeps the
  // names of it; empty: as flow_names() has it. No lab file has it.
  std::vector<std::string> names = {};

  // How many connections all flows make together.
  uint64_t connections() const;
  bool is_real() const;  // True when a host is a kernel's.
  bool has_host(std::string_view name) const;
  void assign(std::string sysctl);  // NAME=VALUE, instead of what was said of it before.
};

// The most connections one run takes: their control blocks and buffers are what fills memory.
constexpr uint64_t kMaxConnections = 200'000;
// Each host is a whole network stack, each link two interfaces of two of them.
constexpr size_t kMaxHosts = 1000, kMaxLinks = 1000;
// Flows of short connections take a port each, and each has at most so many connections at a time.
constexpr uint64_t kMaxWebFlows = 5000, kMaxWebConnections = 1000;

// "cc=newreno,rate=12Mbps,start=5s,count=3,name=x,bytes=10MB,ip=6,reverse", or a congestion
// control's bare name first, or `dgp` (profile=dgp), with fcc=5Mbps. `reverse` sends from receiver
// to sender.
Result<FlowSpec> parse_flow(std::string_view text);
std::string print_flow(const FlowSpec& flow);
// What a report calls each of their connections, in order, `count` of them for each flow: no two
// alike. A flow is called by its name, or by what it is: "cubic 12Mbps". Those that would be called
// alike are numbered, whether `count` made them or they were said one by one: cubic-1, cubic-2. A
// number whose name is another flow's own is passed over.
std::vector<std::string> flow_names(const std::vector<FlowSpec>& flows);
std::string print_flow_without_ends(const FlowSpec& flow);  // The same, but for `from` and `to`.

// The lab of `wh pace`'s flags: sender and receiver, and between them the links in a row, joined by
// hosts router1, router2 .... A flow with a round trip of its own gets a host of its own behind the
// sender: `sender-80ms`, or where another path has that, `sender-80ms-router1`. Errors: a round
// trip shorter than the path's.
Result<LabSpec> pace_lab(std::vector<net::LinkConfig> links, std::vector<FlowSpec> flows);

// A whole lab file. `where` names it in errors. With `values`, texts in it may name them: `${rate}`
// stands for the value of `rate`, and a table [sweep] is passed over (lab/sweep.h).
using LabValues = std::map<std::string, std::string, std::less<>>;
Result<LabSpec> parse_lab(std::string_view toml, std::string_view where,
                          const LabValues* values = nullptr);
std::string print_lab(const LabSpec& spec);

// What neither a flag nor a file may ask: flows between hosts without a way, a warm-up as long as
// the run, more than kMaxConnections ... (lab/check.cc). Called by both ways in.
Result<void> check_lab(const LabSpec& spec);

// What of that is a flow's own affair, in a run that lasts so long.
Result<void> check_flow(const FlowSpec& flow, Duration duration);
constexpr Duration kLongestRun = std::chrono::hours(24 * 365);

// Names of hosts, links and flows are printable and plain. Error: it is empty, or has another
// character.
Result<void> check_name(std::string_view name);

// The names of congestion controls that `cc` takes.
std::vector<std::string> congestion_controls();

}  // namespace wh::lab
