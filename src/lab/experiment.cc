#include "lab/experiment.h"

#include <algorithm>

#include "core/virtual_loop.h"
#include "lab/synthetic.h"
#include "lab/web_flow.h"

namespace wh::lab {
namespace {

// Each connection between two hosts has ports of its own: so many clients share a server's port.
// Flows of short connections have servers of their own.
constexpr uint16_t kFirstServerPort = 5001, kFirstClientPort = 10000, kFirstWebPort = 60000;
static_assert(kFirstWebPort + kMaxWebFlows <= 65536);
constexpr uint32_t kClientPorts = 50000;

// Socket buffers that no path of a few flows fills, and that many flows together still fit in
// memory.
Bytes buffer_for(uint64_t connections) {
  const auto share = static_cast<int64_t>(8'589'934'592u / std::max<uint64_t>(1, connections));
  return std::clamp(Bytes(share), 256_KiB, 64_MiB);
}

using LinkEvent = std::pair<const char*, uint64_t net::LinkCounters::*>;
constexpr LinkEvent kLinkEvents[] = {{"corrupted", &net::LinkCounters::corrupted},
                                     {"marked", &net::LinkCounters::marked},
                                     {"reordered", &net::LinkCounters::reordered},
                                     {"duplicate_failed", &net::LinkCounters::duplicate_failed},
                                     {"reorder_failed", &net::LinkCounters::reorder_failed}};

}  // namespace

Experiment::Experiment(LabSpec spec, std::unique_ptr<Loop> loop)
    : spec_(std::move(spec)),
      paths_(spec_),
      loop_(std::move(loop)),
      random_(spec_.seed),
      bytes_(random_.fork("bytes")),
      warmup_end_(*loop_, [this] { end_warmup(); }) {}

// An interface must not tell a capture of the packets by which connections go.
Experiment::~Experiment() {
  for (OpenCapture& capture : captures_) capture.at->remove_tap(capture.file.get());
}

Result<std::unique_ptr<Experiment>> Experiment::make(const LabSpec& spec, const Options& options) {
  std::unique_ptr<Loop> loop;
  if (spec.is_real()) {
    loop = TRY(host::RealLoop::make());
  } else {
    loop = std::make_unique<VirtualLoop>();
  }
  std::unique_ptr<Experiment> e(new Experiment(spec, std::move(loop)));
  e->stop_ = options.stop;
  e->loop_->heed(options.stop);
  TRY(e->build_hosts());
  for (size_t i = 0; i < spec.links.size(); ++i) TRY(e->build_link(i, spec.links[i]));
  TRY(e->build_routes());
  TRY(e->build_flows());
  e->begin();
  for (const Options::Tap& tap : options.captures) TRY(e->open_capture(tap));
  if (options.sample_every) e->start_sampling(*options.sample_every);
  if (!options.trace.empty()) TRY(e->open_trace(options));
  return e;
}

Result<void> Experiment::build_hosts() {
  for (const HostSpec& host : spec_.hosts) {
    if (host.kind == HostKind::Kernel) {
      kernels_.emplace(host.name, TRY(KernelHost::make(real_loop(), pool_)));
      continue;
    }
    auto built = std::make_unique<Host>(*loop_, pool_, host.name, random_.fork(host.name),
                                        buffer_for(spec_.connections()));
    if (paths_.degree(paths_.host(host.name)) > 1) {
      MUST(built->sysctl().set("net.inet.ip.forwarding", "1"));  // They exist.
      MUST(built->sysctl().set("net.inet6.ip6.forwarding", "1"));
    }
    for (const std::string& assignment : spec_.sysctls) TRY(built->sysctl().assign(assignment));
    hosts_.emplace(host.name, std::move(built));
  }
  return {};
}

Result<void> Experiment::build_link(size_t index, const LinkSpec& spec) {
  net::LinkConfig config = spec.config;
  TRY(load_traces(config));
  const auto number = static_cast<uint32_t>(index * 2 + 1);
  auto end = [&](const std::string& host, uint32_t n) {
    return net::Interface::Config{.name = fmt::format("{}-{}", spec.name, host),
                                  .mac = net::MacAddress::local(n),
                                  .checksum_offload = true};
  };
  BuiltLink built{
      .name = spec.name,
      .link = std::make_unique<net::Link>(config, end(spec.from, number), end(spec.to, number + 1),
                                          *loop_, pool_, random_.fork(spec.name))};
  const std::string* names[] = {&spec.from, &spec.to};
  net::Interface* ports[] = {&built.link->a(), &built.link->b()};
  const auto addresses = [&](int side) {
    const auto n = static_cast<uint8_t>(side + 1);
    return std::vector<net::Prefix>{{Paths::address(index, n, 4), 24},
                                    {Paths::address(index, n, 6), 64}};
  };
  // Each end knows the other's address: a path's delay is its routers', who do not ask by ARP.
  for (int side = 0; side < 2; ++side) {
    const net::MacAddress& peer = ports[1 - side]->mac();
    if (const auto kernel = kernels_.find(*names[side]); kernel != kernels_.end()) {
      TRY(kernel->second->join(*ports[side], addresses(side), addresses(1 - side), peer));
      continue;
    }
    vnet::Vnet& vnet = hosts_.at(*names[side])->vnet();
    const uint16_t port = TRY(vnet.attach(*ports[side]));
    for (const net::Prefix& own : addresses(side)) TRY(vnet.add_address(port, own));
    for (const net::Prefix& theirs : addresses(1 - side)) {
      TRY(vnet.add_neighbour(port, theirs.address, peer));
    }
  }
  links_.push_back(std::move(built));
  return {};
}

Result<void> Experiment::build_routes() {
  for (size_t i = 0; i < spec_.hosts.size(); ++i) {
    const auto kernel = kernels_.find(spec_.hosts[i].name);
    for (const Paths::Route& route : paths_.routes(i)) {
      if (kernel != kernels_.end()) {
        TRY(kernel->second->add_route(route.prefix, route.next_hop));
      } else {
        TRY(hosts_.at(spec_.hosts[i].name)->vnet().add_route(route.prefix, route.next_hop));
      }
    }
  }
  return {};
}

bool Experiment::is_stopping() {
  if (stop_ != nullptr && *stop_) stopping_ = 1;
  return stopping_ != 0;
}

Result<void> Experiment::build_flows() {
  Random jitter = random_.fork("start jitter");
  uint32_t number = 0;
  auto names = spec_.names.empty() ? flow_names(spec_.flows) : spec_.names;
  for (const FlowSpec& flow : spec_.flows) {
    for (uint32_t i = 0; i < flow.count; ++i, ++number) {
      if (is_stopping()) return {};
      FlowSpec one = flow;
      if (spec_.start_jitter > 0s) {
        one.start += Duration(
            static_cast<int64_t>(jitter.below(static_cast<uint64_t>(spec_.start_jitter.count()))));
      }
      flows_.push_back(TRY(make_flow(one, number, std::move(names.at(number)))));
    }
  }
  return {};
}

Result<std::unique_ptr<Flow>> Experiment::make_flow(const FlowSpec& flow, uint32_t number,
                                                    std::string name) {
  const std::vector<Paths::Hop> hops = paths_.way(flow.from, flow.to);
  CHECK(!hops.empty());  // check_lab() has seen to it.
  auto side = [](bool is_from) { return static_cast<uint8_t>(is_from ? 1 : 2); };
  const net::IpAddress from =
      Paths::address(hops.front().link, side(hops.front().is_forward), flow.ip);
  const net::IpAddress to =
      Paths::address(hops.back().link, side(!hops.back().is_forward), flow.ip);
  const auto client = static_cast<uint16_t>(kFirstClientPort + number % kClientPorts);
  const auto server = static_cast<uint16_t>(kFirstServerPort + number / kClientPorts);

  if (kernels_.contains(flow.from) || kernels_.contains(flow.to)) {
    // A kernel's program serves one connection, so each flow has a server's port of its own.
    const auto way =
        kernels_.contains(flow.to) ? KernelFlow::Way::ToKernel : KernelFlow::Way::FromKernel;
    const bool is_to = way == KernelFlow::Way::ToKernel;
    const KernelFlow::Place place{.ours = *hosts_.at(is_to ? flow.from : flow.to),
                                  .kernel = *kernels_.at(is_to ? flow.to : flow.from),
                                  .our_address = is_to ? from : to,
                                  .kernel_address = is_to ? to : from,
                                  .port = client,
                                  .seed = spec_.seed + number * 2};
    auto made = TRY(KernelFlow::make(flow, std::move(name), way, place,
                                     {spec_.duration, spec_.warmup}, real_loop()));
    if (!is_to) {
      Flow& target = *made;
      TRY(listen(place.ours, {to, client}, [&target](const auto&) -> Flow& { return target; }));
    }
    return made;
  }
  const LabFlow::Place place{.bytes = bytes_,
                             .number = number,
                             .from = *hosts_.at(flow.from),
                             .to = *hosts_.at(flow.to),
                             .from_address = from,
                             .to_address = to,
                             .from_port = client,
                             .to_port = server};
  if (std::holds_alternative<Web>(flow.workload)) {
    LabFlow::Place own = place;
    own.to_port = static_cast<uint16_t>(kFirstWebPort + web_flows_++);
    auto made = std::make_unique<WebFlow>(flow, std::move(name), own, *loop_, random_);
    TRY(listen(place.to, {to, own.to_port},
               [target = made.get()](const auto&) -> Flow& { return *target; }));
    return made;
  }
  // Flows are numbered by their ports, which tells whose connection has come.
  TRY(listen(place.to, {to, server}, [this](const tcp::Connection& c) -> Flow& {
    const uint32_t row = c.local().port - uint32_t{kFirstServerPort};
    return *flows_.at(row * kClientPorts + c.remote().port - kFirstClientPort);
  }));
  return std::make_unique<LabFlow>(flow, std::move(name), place, *loop_);
}

Result<void> Experiment::listen(Host& host, const tcp::Endpoint& local,
                                std::function<Flow&(const tcp::Connection&)> flow_of) {
  tcp::Listener*& listener = listeners_[{&host, local}];
  if (listener != nullptr) return {};
  listener = TRY(host.tcp().listen(
      {.local = local,
       .backlog = kMaxConnections,
       .on_create = [&host, flow_of](
                        tcp::Connection& c) { flow_of(c).trace(c, host.name(), c.remote().port); },
       .on_ready =
           [&listener, flow_of] {
             while (tcp::Connection* connection = listener->accept()) {
               flow_of(*connection).accept(*connection);
             }
           }}));
  return {};
}

host::RealLoop& Experiment::real_loop() const {
  CHECK(spec_.is_real());
  return static_cast<host::RealLoop&>(*loop_);
}

Result<void> Experiment::open_capture(const Options::Tap& tap) {
  std::vector<std::string> names;
  for (BuiltLink& built : links_) {
    for (net::Interface* at : {&built.link->a(), &built.link->b()}) {
      names.push_back(at->name());
      if (!tap.interface.empty() && at->name() != tap.interface) continue;
      captures_.push_back({TRY(net::Capture::open(tap.path)), at});
      at->add_tap(captures_.back().file.get());
      return {};
    }
  }
  return fail("there is no interface '{}' to capture at; accepted: {}", tap.interface,
              fmt::join(names, ", "));
}

void Experiment::begin() {
  started_ = loop_->clock();
  // Before all that the flows arm: what begins at the warm-up's end counts.
  warmup_end_.arm(started_ + spec_.warmup);
  for (auto& flow : flows_) flow->begin(started_);
}

void Experiment::start_sampling(Duration every) {
  std::vector<Sampler::Direction> links;
  for (const BuiltLink& built : links_) {
    links.push_back({built.name, &built.link->forward()});
    links.push_back({built.name + ".rev", &built.link->reverse()});
  }
  sampler_ = std::make_unique<Sampler>(*loop_, every, flows_, std::move(links));
}

Result<void> Experiment::open_trace(const Options& options) {
  if (options.trace_from - 1 + flows_.size() > TraceFolder::kMostFlows) {
    return fail("a trace keeps two files open for each flow; accepted: at most {} flows, not {}",
                TraceFolder::kMostFlows, options.trace_from - 1 + flows_.size());
  }
  trace_ = TRY(TraceFolder::make(options.trace, started_));
  for (size_t i = 0; i < flows_.size(); ++i) {
    flows_[i]->trace_in(*trace_, options.trace_from + i);
  }
  return {};
}

void Experiment::run(const std::function<void(Duration)>& progress) {
  const Instant end = started_ + spec_.duration;
  // Between slices stop() is seen: even a fast link's slice is over in a moment.
  const Duration slice = std::clamp<Duration>(spec_.duration / 500, 1ms, 100ms);
  auto is_background = [](const auto& f) { return f->spec().background; };
  const bool has_main = !std::all_of(flows_.begin(), flows_.end(), is_background);
  auto all_done = [&] {
    return std::all_of(flows_.begin(), flows_.end(), [&](const auto& f) {
      return f->is_done() || (has_main && is_background(f));
    });
  };
  // All may be over before the warm-up is, of which nothing counts.
  while (!is_stopping() && loop_->now() < end && (warmup_end_.is_armed() || !all_done())) {
    loop_->run_until(std::min(end, loop_->now() + slice));
    progress(loop_->now() - started_);
  }
  for (auto& flow : flows_) flow->end();
}

namespace {

HostReport counts_of(Host& host) {
  constexpr std::string_view kStats = "net.inet.tcp.stats.";
  HostReport report{.name = host.name(), .tcp = {}};
  for (const SysctlTree::Leaf& leaf : MUST(host.sysctl().list("net.inet.tcp.stats"))) {
    const uint64_t count = std::stoull(leaf.value);
    if (count > 0) report.tcp.emplace(leaf.name.substr(kStats.size()), count);
  }
  return report;
}

}  // namespace

std::vector<HostReport> Experiment::host_totals() const {
  std::vector<HostReport> totals;
  for (const auto& [name, host] : hosts_) totals.push_back(counts_of(*host));
  return totals;
}

void Experiment::end_warmup() {
  for (auto& flow : flows_) flow->begin_measuring();
  auto mark = [](const net::LinkDirection& d) {
    return BuiltLink::Mark{d.counters(), d.sent_bytes(), d.capacity_bytes()};
  };
  for (BuiltLink& built : links_) {
    built.forward_before = mark(built.link->forward());
    built.reverse_before = mark(built.link->reverse());
  }
  hosts_before_ = host_totals();
}

LinkReport Experiment::report_of(const std::string& name, const net::LinkDirection& direction,
                                 const BuiltLink::Mark& before) const {
  const net::LinkCounters& now = direction.counters();
  LinkReport report{.name = name, .rate = direction.config().buffer_rate()};
  const double capacity = direction.capacity_bytes() - before.capacity_bytes;
  if (capacity > 0) report.utilization = (direction.sent_bytes() - before.sent_bytes) / capacity;
  report.queue = now.queue_ns.since(before.counters.queue_ns);
  for (size_t i = 0; i < net::kDropReasons; ++i) {
    const uint64_t drops = now.dropped[i].packets - before.counters.dropped[i].packets;
    if (drops != 0) report.drops.emplace(to_string(static_cast<net::DropReason>(i)), drops);
  }
  for (const auto& [what, member] : kLinkEvents) {
    const uint64_t count = now.*member - before.counters.*member;
    if (count != 0) report.events.emplace(what, count);
  }
  return report;
}

Report Experiment::report() const {
  Report report{.seed = spec_.seed,
                .duration = std::max<Duration>(loop_->now() - started_, 0s),
                .warmup = warmup_end_.is_armed() ? 0s : spec_.warmup,
                .interrupted = stopping_ != 0,
                .real_time = spec_.is_real(),
                .behind = spec_.is_real() ? real_loop().most_behind() : 0ns,
                .lab = print_lab(spec_)};
  for (const auto& flow : flows_) report.flows.push_back(flow->report());
  for (const BuiltLink& built : links_) {
    report.links.push_back(report_of(built.name, built.link->forward(), built.forward_before));
    report.links.push_back(
        report_of(built.name + ".rev", built.link->reverse(), built.reverse_before));
  }
  report.hosts = host_totals();
  for (size_t i = 0; i < hosts_before_.size(); ++i) report.hosts[i].leave_out(hosts_before_[i]);
  if (sampler_ != nullptr) report.series = sampler_->series();
  return report;
}

Result<void> Experiment::finish() {
  Result<void> all = {};
  if (trace_ != nullptr) all = trace_->close();
  for (OpenCapture& capture : captures_) {
    capture.at->remove_tap(capture.file.get());
    auto closed = capture.file->close();
    if (!closed && all) all = std::move(closed);
  }
  captures_.clear();
  return all;
}

void Experiment::check_invariants() {
  for (auto& [name, host] : hosts_) host->tcp().check_invariants();
  for (BuiltLink& built : links_) {
    const auto conserved = built.link->check_conservation();
    if (!conserved) check_failed(__FILE__, __LINE__, "conservation", conserved.error().text);
  }
}

}  // namespace wh::lab
