// What no lab may ask, whichever way it was written. Every refusal says what was wrong, and what
// would be accepted.
#include <algorithm>
#include <set>

#include "lab/paths.h"

namespace wh::lab {
namespace {

Result<void> check_times(const LabSpec& spec) {
  if (spec.duration <= 0s || spec.duration > kLongestRun) {
    return fail("duration {} is out of range; accepted: above 0s, at most a year",
                to_string(spec.duration));
  }
  if (spec.warmup < 0s || spec.warmup >= spec.duration) {
    return fail("warmup {} must be at least 0s and shorter than the duration {}",
                to_string(spec.warmup), to_string(spec.duration));
  }
  if (spec.start_jitter < 0s || spec.start_jitter >= spec.duration) {
    return fail("start_jitter {} must be at least 0s and shorter than the duration {}",
                to_string(spec.start_jitter), to_string(spec.duration));
  }
  return {};
}

Result<void> check_hosts(const LabSpec& spec) {
  if (spec.hosts.size() > kMaxHosts) {
    return fail("{} hosts; one lab takes at most {}", spec.hosts.size(), kMaxHosts);
  }
  std::set<std::string_view> names;
  for (const HostSpec& host : spec.hosts) {
    if (!names.insert(host.name).second) return fail("two hosts are named '{}'", host.name);
  }
  if (std::count_if(spec.hosts.begin(), spec.hosts.end(),
                    [](const HostSpec& h) { return h.kind == HostKind::Kernel; }) > 1) {
    return fail("at most one host may be of kind kernel");
  }
  return {};
}

Result<void> check_links(const LabSpec& spec) {
  if (spec.links.empty()) return fail("there is no link; a lab needs at least one");
  if (spec.links.size() > kMaxLinks) {
    return fail("{} links; one lab takes at most {}", spec.links.size(), kMaxLinks);
  }
  std::set<std::string_view> names;
  for (const LinkSpec& link : spec.links) {
    for (const std::string& end : {link.from, link.to}) {
      if (!spec.has_host(end)) return fail("link '{}': there is no host '{}'", link.name, end);
    }
    if (link.from == link.to) return fail("link '{}' joins '{}' to itself", link.name, link.to);
    if (!names.insert(link.name).second) return fail("two links are named '{}'", link.name);
    if (net::takes_no_time(link.config.forward) && net::takes_no_time(link.config.reverse)) {
      return fail(
          "link '{}' has neither a rate nor a delay: packets would cross it in no time, and the "
          "run would not get on; accepted: one of them, such as rate=40Mbps or delay=10ms, a "
          "trace= or a slot=",
          link.name);
    }
  }
  return {};
}

bool is_kernel(const LabSpec& spec, const std::string& name) {
  return std::any_of(spec.hosts.begin(), spec.hosts.end(), [&](const HostSpec& h) {
    return h.name == name && h.kind == HostKind::Kernel;
  });
}

Result<void> check_flow_of(const LabSpec& spec, const Paths& paths, const FlowSpec& flow) {
  for (const std::string& end : {flow.from, flow.to}) {
    if (!spec.has_host(end)) {
      return fail("flow '{}': there is no host '{}'", print_flow(flow), end);
    }
  }
  if (paths.way(flow.from, flow.to).empty()) {
    return fail("flow '{}': no link joins '{}' and '{}'", print_flow(flow), flow.from, flow.to);
  }
  TRY(check_flow(flow, spec.duration));
  if (!flow.is_bulk() && (is_kernel(spec, flow.from) || is_kernel(spec, flow.to))) {
    return fail("flow '{}': a flow of the kernel's is a bulk transfer; accepted: without {}",
                print_flow(flow), print_workload(flow.workload));
  }
  if ((flow.is_dgp || flow.is_fill) && is_kernel(spec, flow.from)) {
    return fail(
        "flow '{}': the kernel sends this one, and it has neither DGP nor FillCwBw; accepted: "
        "without the profile, or from a host of ours",
        print_flow(flow));
  }
  return {};
}

Result<void> check_flows(const LabSpec& spec) {
  if (spec.flows.empty()) return fail("there is no flow; a lab needs at least one");
  uint64_t web = 0;
  const Paths paths(spec);
  for (const FlowSpec& flow : spec.flows) {
    TRY(check_flow_of(spec, paths, flow));
    if (std::holds_alternative<Web>(flow.workload)) web += flow.count;
  }
  if (spec.connections() > kMaxConnections) {
    return fail("{} connections asked for; one run takes at most {}", spec.connections(),
                kMaxConnections);
  }
  if (web > kMaxWebFlows) {
    return fail("{} flows of short connections; one run takes at most {}", web, kMaxWebFlows);
  }
  return {};
}

}  // namespace

Result<void> check_flow(const FlowSpec& flow, Duration duration) {
  if (flow.start >= duration) {
    return fail("flow '{}' starts at {}, when the run of {} is over", print_flow(flow),
                to_string(flow.start), to_string(duration));
  }
  if (flow.rtt) {
    return fail("flow '{}': rtt: a word of --flow; in a lab file, give it a host and a link",
                print_flow(flow));
  }
  if (flow.bytes && !flow.is_bulk()) {
    return fail("flow '{}': bytes and a workload do not go together", print_flow(flow));
  }
  return {};
}

Result<void> check_lab(const LabSpec& spec) {
  TRY(check_hosts(spec));
  TRY(check_times(spec));
  TRY(check_links(spec));
  return check_flows(spec);
}

}  // namespace wh::lab
