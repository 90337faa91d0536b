#include "lab/experiment.h"

#include <algorithm>

#include "core/virtual_loop.h"
#include "host/system.h"

namespace wh::lab {
namespace {

// "cubic 12Mbps" of a flow without a name.
std::string name_of(const FlowSpec& flow) {
  if (!flow.name.empty()) return flow.name;
  std::string name = flow.cc;
  if (flow.is_dgp) name = flow.cc == "newreno" ? "dgp" : "dgp/" + flow.cc;
  if (flow.is_fill) name += " fill";
  if (flow.fcc_share > 0) name += fmt::format(" {}%", flow.fcc_share);
  if (flow.fcc) name += flow.fcc->is_zero() ? " no-fcc" : " " + to_string(*flow.fcc);
  return flow.rate ? fmt::format("{} {}", name, to_string(*flow.rate)) : name;
}

net::IpAddress address_on(size_t link, uint8_t host, uint8_t ip) {
  if (ip == 4) return net::Ip4::of(10, 0, static_cast<uint8_t>(link), host);
  return net::Ip6{{0xfd, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(link), 0, 0, 0, 0, 0, 0, 0, host}};
}

// Each connection between two hosts has ports of its own: so many clients share a server's port.
constexpr uint16_t kFirstServerPort = 5001, kFirstClientPort = 10000;
constexpr uint32_t kClientPorts = 50000;

// Socket buffers that no path of a few flows fills, and that many flows together still fit in
// memory.
Bytes buffer_for(uint64_t connections) {
  const auto share = static_cast<int64_t>(8'589'934'592u / std::max<uint64_t>(1, connections));
  return std::clamp(Bytes(share), 256_KiB, 64_MiB);
}

}  // namespace

Experiment::Experiment(LabSpec spec, std::unique_ptr<Loop> loop)
    : spec_(std::move(spec)),
      loop_(std::move(loop)),
      random_(spec_.seed),
      warmup_end_(*loop_, [this] { end_warmup(); }),
      started_(loop_->now()),
      measured_from_(loop_->now()) {}

Experiment::~Experiment() = default;

Result<std::unique_ptr<Experiment>> Experiment::make(const LabSpec& spec, const Options& options) {
  std::unique_ptr<Loop> loop;
  if (spec.is_real()) {
    loop = TRY(host::RealLoop::make());
  } else {
    loop = std::make_unique<VirtualLoop>();
  }
  std::unique_ptr<Experiment> e(new Experiment(spec, std::move(loop)));
  TRY_VOID(e->build_hosts());
  for (size_t i = 0; i < spec.links.size(); ++i) TRY_VOID(e->build_link(i, spec.links[i]));
  TRY_VOID(e->build_flows());
  if (!options.pcap.empty()) TRY_VOID(e->open_capture(options.pcap));
  if (!options.trace.empty()) TRY_VOID(e->open_trace(options));
  e->warmup_end_.arm(e->started_ + spec.warmup);
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
    for (const std::string& assignment : spec_.sysctls)
      TRY_VOID(built->sysctl().assign(assignment));
    hosts_.emplace(host.name, std::move(built));
  }
  return {};
}

Result<void> Experiment::build_link(size_t index, const LinkSpec& spec) {
  net::LinkConfig config = spec.config;
  TRY_VOID(net::load_traces(config, [](const std::string& path) { return host::read_file(path); }));
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
  for (uint8_t side = 0; side < 2; ++side) {
    const auto n = static_cast<uint8_t>(side + 1);
    const std::vector<net::Prefix> addresses = {{address_on(index, n, 4), 24},
                                                {address_on(index, n, 6), 64}};
    if (const auto kernel = kernels_.find(*names[side]); kernel != kernels_.end()) {
      TRY_VOID(kernel->second->join(*ports[side], addresses));
      continue;
    }
    vnet::Vnet& vnet = hosts_.at(*names[side])->vnet();
    const uint16_t port = TRY(vnet.attach(*ports[side]));
    for (const net::Prefix& address : addresses) TRY_VOID(vnet.add_address(port, address));
  }
  links_.push_back(std::move(built));
  return {};
}

Result<void> Experiment::build_flows() {
  uint32_t number = 0;
  for (const FlowSpec& flow : spec_.flows) {
    for (uint32_t i = 0; i < flow.count; ++i, ++number) {
      std::string name =
          flow.count == 1 ? name_of(flow) : fmt::format("{}-{}", name_of(flow), i + 1);
      flows_.push_back(TRY(make_flow(flow, number, std::move(name))));
    }
  }
  return {};
}

Result<std::unique_ptr<Flow>> Experiment::make_flow(const FlowSpec& flow, uint32_t number,
                                                    std::string name) {
  const auto on = std::find_if(spec_.links.begin(), spec_.links.end(), [&](const LinkSpec& l) {
    return (l.from == flow.from && l.to == flow.to) || (l.from == flow.to && l.to == flow.from);
  });
  const auto link = static_cast<size_t>(on - spec_.links.begin());
  const uint8_t side = on->from == flow.from ? 1 : 2;
  const net::IpAddress from = address_on(link, side, flow.ip);
  const net::IpAddress to = address_on(link, static_cast<uint8_t>(3 - side), flow.ip);
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
    auto made =
        TRY(KernelFlow::make(flow, std::move(name), way, place, spec_.duration, real_loop()));
    if (!is_to) {
      Flow& target = *made;
      TRY_VOID(
          listen(place.ours, {to, client}, [&target](const auto&) -> Flow& { return target; }));
    }
    return made;
  }
  const LabFlow::Place place{.from = *hosts_.at(flow.from),
                             .to = *hosts_.at(flow.to),
                             .from_address = from,
                             .to_address = to,
                             .from_port = client,
                             .to_port = server};
  // Flows are numbered by their ports, which tells whose connection has come.
  TRY_VOID(listen(place.to, {to, server}, [this](const tcp::Connection& c) -> Flow& {
    const uint32_t row = c.local().port - uint32_t{kFirstServerPort};
    return *flows_.at(row * kClientPorts + c.remote().port - kFirstClientPort);
  }));
  return std::make_unique<LabFlow>(flow, std::move(name), place, *loop_, random_);
}

Result<void> Experiment::listen(Host& host, const tcp::Endpoint& local,
                                std::function<Flow&(const tcp::Connection&)> flow_of) {
  tcp::Listener*& listener = listeners_[{&host, local}];
  if (listener != nullptr) return {};
  listener = TRY(host.tcp().listen(
      {.local = local,
       .backlog = kMaxConnections,
       .on_create = [&host, flow_of](tcp::Connection& c) { flow_of(c).trace(c, host.name()); },
       .on_ready =
           [&listener, flow_of] {
             while (tcp::Connection* connection = listener->accept()) {
               flow_of(*connection).accept(*connection);
             }
           }}));
  return {};
}

host::RealLoop& Experiment::real_loop() {
  CHECK(spec_.is_real());
  return static_cast<host::RealLoop&>(*loop_);
}

Result<void> Experiment::open_capture(const std::string& path) {
  capture_ = TRY(net::Capture::open(path));
  links_.front().link->a().add_tap(capture_.get());
  return {};
}

Result<void> Experiment::open_trace(const Options& options) {
  if (options.trace_from - 1 + flows_.size() > TraceFolder::kMostFlows) {
    return fail("a trace keeps two files open for each flow; accepted: at most {} flows, not {}",
                TraceFolder::kMostFlows, options.trace_from - 1 + flows_.size());
  }
  trace_ = TRY(TraceFolder::make(options.trace, started_));
  for (size_t i = 0; i < flows_.size(); ++i) flows_[i]->trace_in(*trace_, options.trace_from + i);
  return {};
}

void Experiment::run(const std::function<void(Duration)>& progress) {
  const Instant end = started_ + spec_.duration;
  const Duration slice = std::max<Duration>(spec_.duration / 500, 1ms);
  auto all_done = [&] {
    return std::all_of(flows_.begin(), flows_.end(), [](const auto& f) { return f->is_done(); });
  };
  while (stopping_ == 0 && loop_->now() < end && !all_done()) {
    loop_->run_until(std::min(end, loop_->now() + slice));
    progress(loop_->now() - started_);
  }
  for (auto& flow : flows_) flow->end();
}

void Experiment::end_warmup() {
  measured_from_ = loop_->now();
  for (auto& flow : flows_) flow->begin_measuring();
  auto mark = [](const net::LinkDirection& d) {
    return BuiltLink::Mark{d.counters(), d.sent_bytes(), d.capacity_bytes()};
  };
  for (BuiltLink& built : links_) {
    built.forward_before = mark(built.link->forward());
    built.reverse_before = mark(built.link->reverse());
  }
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
  return report;
}

Report Experiment::report() const {
  Report report{.seed = spec_.seed,
                .duration = loop_->now() - started_,
                .warmup = spec_.warmup,
                .interrupted = stopping_ != 0,
                .real_time = spec_.is_real(),
                .lab = print_lab(spec_)};
  for (const auto& flow : flows_) report.flows.push_back(flow->report());
  for (const BuiltLink& built : links_) {
    report.links.push_back(report_of(built.name, built.link->forward(), built.forward_before));
    report.links.push_back(
        report_of(built.name + ".rev", built.link->reverse(), built.reverse_before));
  }
  return report;
}

Result<void> Experiment::finish() {
  if (trace_ != nullptr) TRY_VOID(trace_->close());
  if (capture_ == nullptr) return {};
  links_.front().link->a().remove_tap(capture_.get());
  return capture_->close();
}

void Experiment::check_invariants() {
  for (auto& [name, host] : hosts_) host->tcp().check_invariants();
  for (BuiltLink& built : links_) {
    const auto conserved = built.link->check_conservation();
    if (!conserved) check_failed(__FILE__, __LINE__, "conservation", conserved.error().text);
  }
}

}  // namespace wh::lab
