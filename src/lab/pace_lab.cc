// From the flags of `wh pace` to a lab: which hosts and links there are.
#include <algorithm>

#include "lab/paths.h"

namespace wh::lab {
namespace {

// Propagation there and back along a flow's way.
Duration path_rtt(const LabSpec& spec, const std::string& from, const std::string& to) {
  Duration rtt{};
  for (const Paths::Hop& hop : Paths(spec).way(from, to)) {
    const net::LinkConfig& config = spec.links[hop.link].config;
    rtt += config.forward.delay + config.reverse.delay;
  }
  return rtt;
}

// The host behind the sender from which (or to which, when reversed) a flow of this round trip to
// `far` goes, made when it is not there yet. `more` is what the path lacks of it.
std::string host_for(LabSpec& spec, const std::string& far, Duration more, Duration rtt) {
  std::string which = to_string(rtt);
  const auto made = std::find_if(spec.links.begin(), spec.links.end(),
                                 [&](const LinkSpec& l) { return l.name == "access-" + which; });
  // One towards a host at another distance does not serve.
  if (made != spec.links.end() && made->config.forward.delay + made->config.reverse.delay != more) {
    which += "-" + far;
  }
  const std::string name = "sender-" + which;
  if (spec.has_host(name)) return name;
  LinkSpec access{.name = "access-" + which, .from = name, .to = "sender"};
  access.config.forward.delay = more / 2;
  access.config.reverse.delay = more - more / 2;
  spec.hosts.insert(spec.hosts.begin() + 1, {.name = name});
  spec.links.push_back(std::move(access));
  return name;
}

}  // namespace

Result<LabSpec> pace_lab(std::vector<net::LinkConfig> links, std::vector<FlowSpec> flows) {
  LabSpec spec;
  spec.hosts = {{.name = "sender"}};
  for (size_t i = 0; i < links.size(); ++i) {
    const bool is_last = i + 1 == links.size();
    LinkSpec link{.name = links.size() == 1 ? "bottleneck" : fmt::format("bottleneck{}", i + 1),
                  .from = spec.hosts.back().name,
                  .to = is_last ? "receiver" : fmt::format("router{}", i + 1),
                  .config = std::move(links[i])};
    spec.hosts.push_back({.name = link.to});
    spec.links.push_back(std::move(link));
  }
  for (FlowSpec& flow : flows) {
    if (!flow.rtt) continue;
    for (const std::string& name : {flow.from, flow.to}) {
      if (!spec.has_host(name)) {
        return fail("flow '{}': there is no host '{}'", print_flow(flow), name);
      }
    }
    std::string& end = flow.from == "sender" ? flow.from : flow.to;
    if (end != "sender") {
      return fail("flow '{}': rtt: it neither starts nor ends at the sender", print_flow(flow));
    }
    const Duration path = path_rtt(spec, flow.from, flow.to);
    if (*flow.rtt < path) {
      return fail("flow '{}': rtt: the path itself takes {}; accepted: at least that",
                  print_flow(flow), to_string(path));
    }
    const std::string& far = flow.from == "sender" ? flow.to : flow.from;
    if (*flow.rtt > path) end = host_for(spec, far, *flow.rtt - path, *flow.rtt);
    flow.rtt.reset();
  }
  spec.flows = std::move(flows);
  return spec;
}

}  // namespace wh::lab
