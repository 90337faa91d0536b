#include "lab/world.h"

#include <algorithm>

#include "lab/synthetic.h"
#include "lab/web_flow.h"
#include "router/ports.h"

namespace wh::lab {

World::World(Topology topology, Loop& loop, host::RealLoop* real)
    : topology_(std::move(topology)),
      loop_(loop),
      real_(real),
      random_(topology_.seed),
      bytes_(random_.fork("bytes")) {}

World::~World() {
  flows_.clear();
  // Packets on a link may be of a router's pool, and a stack lets go of its interfaces when it
  // ends: so the stacks let go first, then the links end, then the stacks.
  for (const auto& [stack, index] : attached_) MUST(stack->detach(index));  // It was attached.
  cables_.clear();
  for (auto& [name, place] : jails_) (void)place.jail.remove();  // They die with us in any case.
}

Result<std::unique_ptr<World>> World::build(Topology topology, Loop& loop, host::RealLoop* real) {
  CHECK(real != nullptr || !topology.is_real());
  std::unique_ptr<World> world(new World(std::move(topology), loop, real));
  TRY(world->build_all());
  return world;
}

Result<void> World::build_all() {
  for (const PlaceSpec& spec : topology_.hosts) {
    auto built = build_host(spec);
    if (!built) return tl::unexpected(std::move(built).error().within("host " + spec.name));
  }
  for (const CableSpec& spec : topology_.links) {
    auto built = build_link(spec);
    if (!built) return tl::unexpected(std::move(built).error().within("link " + spec.name));
  }
  for (const DeviceSpec& spec : topology_.devices) {
    auto given = give_device(spec);
    if (!given) return tl::unexpected(std::move(given).error().within("interface " + spec.name));
  }
  for (const PlaceSpec& spec : topology_.hosts) {
    auto ready = set_up(spec);
    if (!ready) return tl::unexpected(std::move(ready).error().within("host " + spec.name));
  }
  std::vector<FlowSpec> flows = topology_.flows;
  for (FlowSpec& flow : flows) {
    if (flow.name.empty()) flow.name = flow.cc;
  }
  const std::vector<std::string> names = flow_names(flows);
  size_t number = 0;
  for (const FlowSpec& flow : topology_.flows) {
    for (uint32_t i = 0; i < flow.count; ++i) TRY(build_flow(flow, names[number++]));
  }
  started_ = loop_.clock();
  for (const auto& flow : flows_) flow->begin(started_);
  return {};
}

Result<void> World::build_host(const PlaceSpec& spec) {
  if (spec.kind == PlaceKind::Vnet) {
    auto host = std::make_unique<Host>(loop_, pool_, spec.name, random_.fork(spec.name));
    for (const std::string& assignment : topology_.sysctls) {
      TRY(host->sysctl().assign(assignment));
    }
    vnets_.emplace(spec.name, std::move(host));
    return {};
  }
  if (spec.kind == PlaceKind::Router) {
    RouterPlace place;
    if (real_ != nullptr) {
      place.ports = std::make_unique<router::HostPorts>(*real_);
    } else {
      place.ports = std::make_unique<router::PaperPorts>(loop_);
    }
    place.router = std::make_unique<router::Router>(
        router::Router::Config{.seed = random_.fork(spec.name).next()}, loop_, *place.ports);
    place.line = std::make_unique<router::CommandLine>(*place.router);
    routers_.emplace(spec.name, std::move(place));
    return {};
  }
  std::vector<std::string> words = {"name=" + spec.name, "vnet", "allow.raw_sockets"};
  words.insert(words.end(), spec.parameters.begin(), spec.parameters.end());
  words.emplace_back("persist");
  auto registry = TRY(jail::Registry::open());
  jail::Jail made = TRY(jail::Jail::create(registry, TRY(jail::parse_params(words)), {}));
  const pid_t init = made.init();
  auto space = host::Netns::of_process(init);
  auto netlink = space ? space->netlink() : Result<host::Rtnetlink>(tl::unexpected(space.error()));
  if (!netlink) {
    (void)made.remove();
    return tl::unexpected(netlink.error());
  }
  jails_.emplace(spec.name, JailPlace{std::move(made), *std::move(space), *std::move(netlink)});
  return {};
}

vnet::Vnet* World::stack_of(const std::string& host) {
  if (const auto at = vnets_.find(host); at != vnets_.end()) return &at->second->vnet();
  if (const auto at = routers_.find(host); at != routers_.end()) return &at->second.router->vnet();
  return nullptr;
}

Result<void> World::build_link(const CableSpec& spec) {
  if (spec.config.empty() && jails_.contains(spec.from.host) && jails_.contains(spec.to.host)) {
    return lay_epair(spec);
  }
  auto config = TRY(net::parse_link_config(spec.config));
  TRY(load_traces(config));
  const auto port = [&](const CableEnd& end) {
    return net::Interface::Config{.name = end.interface,
                                  .mac = net::MacAddress::local(next_mac_++),
                                  .checksum_offload = true};
  };
  auto from = port(spec.from), to = port(spec.to);
  Cable cable;
  cable.link = std::make_unique<net::Link>(config, std::move(from), std::move(to), loop_, pool_,
                                           random_.fork(spec.name));
  cables_.push_back(std::move(cable));
  Cable& laid = cables_.back();
  TRY(attach(spec.from, laid.link->a(), laid));
  return attach(spec.to, laid.link->b(), laid);
}

// One end of a link of ours.
Result<void> World::attach(const CableEnd& end, net::Interface& port, Cable& cable) {
  if (vnet::Vnet* stack = stack_of(end.host)) {
    const uint16_t index = TRY(stack->attach(port));
    attached_.emplace_back(stack, index);
    TRY(stack->set_up(index, true));
    for (const net::Prefix& address : end.addresses) TRY(stack->add_address(index, address));
    return {};
  }
  JailPlace& place = jails_.at(end.host);
  cable.taps.push_back(
      TRY(host::TapInterface::open({.device = end.interface,
                                    .mac = net::MacAddress::local(0x10000 + next_mac_++),
                                    .mtu = port.mtu(),
                                    .offload = host::Offload::Join},
                                   place.space, *real_, pool_)));
  cable.patches.push_back(std::make_unique<Patch>(port, *cable.taps.back()));
  for (const net::Prefix& address : end.addresses) {
    TRY(place.netlink.add_address(end.interface, address));
  }
  return place.netlink.set_up(end.interface);
}

Result<void> World::lay_epair(const CableSpec& spec) {
  JailPlace &from = jails_.at(spec.from.host), &to = jails_.at(spec.to.host);
  if (!staging_) staging_ = TRY(host::Netns::make());
  auto netlink = TRY(staging_->netlink());
  TRY(netlink.add_veth(spec.from.interface, spec.to.interface, to.space.fd()));
  TRY(netlink.move_link(spec.from.interface, from.space.fd()));
  for (auto& [place, end] : {std::pair(&from, &spec.from), std::pair(&to, &spec.to)}) {
    for (const net::Prefix& address : end->addresses) {
      TRY(place->netlink.add_address(end->interface, address));
    }
    TRY(place->netlink.set_up(end->interface));
  }
  return {};
}

Result<void> World::give_device(const DeviceSpec& spec) {
  if (const auto at = jails_.find(spec.host); at != jails_.end()) {
    TRY(at->second.jail.take_interface(spec.name));
    for (const net::Prefix& address : spec.addresses) {
      TRY(at->second.netlink.add_address(spec.name, address));
    }
    return at->second.netlink.set_up(spec.name);
  }
  router::Router& router = *routers_.at(spec.host).router;
  const std::string name = TRY(router.create_port({.link = spec.name}));
  const uint16_t index = TRY(router.index_of(name));
  for (const net::Prefix& address : spec.addresses) TRY(router.add_address(index, address));
  return router.vnet().set_up(index, true);
}

// Once all its interfaces are there.
Result<void> World::set_up(const PlaceSpec& spec) {
  if (vnet::Vnet* stack = stack_of(spec.name)) {
    if (spec.forwards) {
      TRY(stack->sysctl().set("net.inet.ip.forwarding", "1"));
      TRY(stack->sysctl().set("net.inet6.ip6.forwarding", "1"));
    }
    for (const RouteSpec& r : spec.routes) TRY(stack->add_route(r.destination, r.gateway));
    for (const std::string& line : spec.commands) {
      auto answer = routers_.at(spec.name).line->run(line);
      if (!answer) return tl::unexpected(std::move(answer).error().within(line));
    }
    return {};
  }
  JailPlace& place = jails_.at(spec.name);
  if (spec.forwards) {
    TRY(place.space.set_sysctl("net.ipv4.ip_forward", "1"));
    TRY(place.space.set_sysctl("net.ipv6.conf.all.forwarding", "1"));
  }
  for (const RouteSpec& r : spec.routes) {
    TRY(place.netlink.add_route(r.destination, r.gateway));
  }
  for (const std::string& command : spec.commands) {
    const int status = TRY(jail::run_inside(place.jail, {"/bin/sh", "-c", command}));
    if (status != 0) return fail("{}: exit status {}", command, status);
  }
  return {};
}

Result<void> World::build_flow(const FlowSpec& flow, std::string name) {
  const auto address_of = [&](const std::string& host) -> Result<net::IpAddress> {
    for (const CableSpec& link : topology_.links) {
      for (const CableEnd* end : {&link.from, &link.to}) {
        if (end->host != host) continue;
        for (const net::Prefix& p : end->addresses) {
          if (p.address.is_v4() == (flow.ip == 4)) return p.address;
        }
      }
    }
    return fail("flow {}: host {} has no IPv{} address", name, host, flow.ip);
  };
  const auto number = static_cast<uint16_t>(flows_.size());
  const LabFlow::Place place{.bytes = bytes_,
                             .number = number,
                             .from = *vnets_.at(flow.from),
                             .to = *vnets_.at(flow.to),
                             .from_address = TRY(address_of(flow.from)),
                             .to_address = TRY(address_of(flow.to)),
                             .from_port = static_cast<uint16_t>(10000 + number),
                             .to_port = static_cast<uint16_t>(5001 + number)};
  if (std::holds_alternative<Web>(flow.workload)) {
    flows_.push_back(std::make_unique<WebFlow>(flow, std::move(name), place, loop_, random_));
  } else {
    flows_.push_back(std::make_unique<LabFlow>(flow, std::move(name), place, loop_));
  }
  Flow& made = *flows_.back();
  auto listener = std::make_shared<tcp::Listener*>(nullptr);
  *listener =
      TRY(place.to.tcp().listen({.local = {place.to_address, place.to_port},
                                 .backlog = kMaxWebConnections,
                                 .on_ready = [listener, &made] {
                                   while (tcp::Connection* connection = (*listener)->accept())
                                     made.accept(*connection);
                                 }}));
  return {};
}

Result<void> World::listen(const std::string& folder) {
  for (auto& [name, place] : routers_) {
    place.server = std::make_unique<router::Server>(*place.line, *real_);
    TRY(place.server->listen(fmt::format("{}/{}.sock", folder, name)));
  }
  return {};
}

}  // namespace wh::lab
