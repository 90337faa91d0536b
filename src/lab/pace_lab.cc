// From the flags of `wh pace` to a lab: which hosts and links there are.
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

// The host from which (or to which, when reversed) a flow of this round trip goes, made when it is
// not there yet.
Result<std::string> host_for(LabSpec& spec, const std::string& sender, Duration more,
                             Duration rtt) {
  const std::string name = fmt::format("{}-{}", sender, to_string(rtt));
  if (spec.has_host(name)) return name;
  LinkSpec access{.name = fmt::format("access-{}", to_string(rtt)), .from = name, .to = sender};
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
    if (*flow.rtt > path) end = TRY(host_for(spec, "sender", *flow.rtt - path, *flow.rtt));
    flow.rtt.reset();
  }
  spec.flows = std::move(flows);
  return spec;
}

}  // namespace wh::lab
