#include "lab/proxy.h"

#include <algorithm>
#include <charconv>

#include "host/entropy.h"
#include "lab/flow.h"
#include "lab/synthetic.h"

namespace wh::lab {
namespace {

constexpr uint32_t kChunk = 65536;
constexpr size_t kBacklog = 4096;  // As Linux's net.core.somaxconn: clients may be far away.

Result<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return fail("'{}' is not a port; accepted: 1..65535", text);
  }
  return port;
}

}  // namespace

Result<Forward> parse_forward(std::string_view text) {
  const size_t equals = text.find('=');
  Forward forward{.port = TRY(parse_port(text.substr(0, equals))),
                  .to = {net::Ip4::of(127, 0, 0, 1), 0}};
  if (equals == std::string_view::npos) {
    forward.to.port = forward.port;
    return forward;
  }
  const std::string_view to = text.substr(equals + 1);
  const size_t colon = to.rfind(':');
  if (colon == std::string_view::npos) {
    return fail("'{}' has no port; accepted: PORT=ADDRESS:PORT, such as 5201=127.0.0.1:5201", text);
  }
  std::string_view address = to.substr(0, colon);
  if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  forward.to = {TRY(net::parse_ip(address)), TRY(parse_port(to.substr(colon + 1)))};
  return forward;
}

Proxy::Proxy(Config config, host::RealLoop& loop)
    : config_(std::move(config)),
      loop_(loop),
      started_(loop.now()),
      random_(config_.seed),
      chunks_(kChunk, 256),
      bury_(loop, [this] { ended_.clear(); }) {
  for (const Forward& f : config_.serve) ways_.push_back({true, f, ways_.size() + 1});
  for (const Forward& f : config_.reach) ways_.push_back({false, f, ways_.size() + 1});
}

Proxy::~Proxy() {
  carried_.clear();
  host_.reset();
}

Result<std::unique_ptr<Proxy>> Proxy::make(Config config, host::RealLoop& loop) {
  std::unique_ptr<Proxy> proxy(new Proxy(std::move(config), loop));
  proxy->host_ =
      std::make_unique<Host>(loop, proxy->pool_, "proxy", Random(host::entropy()), Bytes(4 << 20));
  for (const std::string& assignment : proxy->config_.sysctls) {
    TRY(proxy->host_->sysctl().assign(assignment));
  }
  if (proxy->config_.link) TRY(load_traces(*proxy->config_.link));
  TRY(proxy->join_kernel());
  for (const Way& way : proxy->ways_) {
    TRY(way.is_served ? proxy->serve(way) : proxy->reach(way));
  }
  // Last: a log is begun anew, and whoever fails before may have meant that of one which runs.
  TRY(proxy->open_books());
  return proxy;
}

Result<void> Proxy::open_books() {
  if (!config_.log.empty()) log_ = TRY(ConnectionLog::create(config_.log));
  if (!config_.trace.empty()) trace_ = TRY(TraceFolder::make(config_.trace, started_));
  return {};
}

Result<void> Proxy::finish() {
  for (const auto& carried : carried_) ended(*carried);
  carried_.clear();
  host_.reset();
  Result<void> all;
  if (log_ != nullptr) all = log_->close();
  if (trace_ != nullptr) {
    if (auto closed = trace_->close(); all) all = std::move(closed);
  }
  return all;
}

// With a link between, the kernel sees whole frames that were delayed and lost; without, the device
// does the checksums and the cutting.
Result<void> Proxy::join_kernel() {
  const auto offload = config_.link ? host::Offload::Join : host::Offload::ChecksumAndTso;
  tap_ = TRY(host::TapInterface::open(
      {.device = config_.device, .mac = net::MacAddress::local(1), .offload = offload}, loop_,
      pool_));
  net::Interface* ours = tap_.get();
  if (config_.link) {
    const auto end = [](const char* name, uint32_t n) {
      return net::Interface::Config{
          .name = name, .mac = net::MacAddress::local(n), .checksum_offload = true};
    };
    link_ = std::make_unique<net::Link>(*config_.link, end("ours", 2), end("kernels", 3), loop_,
                                        pool_, random_.fork("link"));
    patch_ = std::make_unique<Patch>(link_->b(), *tap_);
    ours = &link_->a();
  }
  const uint16_t port = TRY(host_->vnet().attach(*ours));
  for (const net::Prefix& prefix : config_.ours) {
    TRY(host_->vnet().add_address(port, prefix));
  }
  host::Rtnetlink kernel = TRY(host::Rtnetlink::open());
  TRY(kernel.set_up(config_.device));
  for (const net::Prefix& prefix : config_.kernels) {
    const net::IpAddress& gateway = prefix.address;
    TRY(kernel.add_address(config_.device, prefix));
    const auto is_on_link = [&](const net::Prefix& p) { return p.contains(gateway); };
    if (std::none_of(config_.ours.begin(), config_.ours.end(), is_on_link)) continue;
    const net::Prefix everywhere{gateway.is_v4() ? net::IpAddress() : net::Ip6(), 0};
    TRY(host_->vnet().add_route(everywhere, gateway));
  }
  return {};
}

// What every connection of ours begins with.
void Proxy::prepare(tcp::Connection& connection, const Way& way) {
  set_pace(config_.flow, connection);
  if (trace_ == nullptr) return;
  // A file for each port; that of the client tells its connections apart.
  const tcp::Endpoint& client = way.is_served ? connection.remote() : connection.local();
  trace_->trace(connection, way.number, fmt::format("{}-{}", way.side(), way.forward.port), "proxy",
                client.port);
}

Proxy::Carried& Proxy::add(const Way& way) {
  ++totals_.connections;
  ++totals_.open;
  Carried& carried = *carried_.emplace_back(std::make_unique<Carried>(Carried{way, loop_.now()}));
  carried.relay = std::make_unique<Relay>(chunks_, [this, &carried](Relay&) {
    ended(carried);
    forget(carried);
  });
  return carried;
}

void Proxy::refuse(Carried& carried, tcp::Connection* connection) {
  ++totals_.refused;
  if (connection != nullptr) connection->abort();
  forget(carried);
}

void Proxy::ended(Carried& carried) {
  const Relay::Outcome outcome = carried.relay->outcome();
  totals_.to_network += outcome.to_network;
  totals_.to_program += outcome.to_program;
  if (log_ == nullptr) return;
  log_->write({.began = carried.began - started_,
               .lasted = loop_.now() - carried.began,
               .side = carried.way.side(),
               .port = carried.way.forward.port,
               .outcome = outcome});
}

void Proxy::forget(Carried& carried) {
  --totals_.open;
  const auto at = std::find_if(carried_.begin(), carried_.end(),
                               [&](const auto& each) { return each.get() == &carried; });
  CHECK(at != carried_.end());
  ended_.push_back(std::move(*at));
  carried_.erase(at);
  bury_.arm(loop_.now());
}

Result<void> Proxy::serve(const Way& way) {
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    tcp::Endpoint local;
    local.address.family = family;
    local.port = way.forward.port;
    const auto listener = std::make_shared<tcp::Listener*>(nullptr);
    *listener =
        TRY(host_->tcp().listen({.local = local,
                                 .backlog = kBacklog,
                                 .congestion = config_.flow.cc,
                                 .on_create = [this, &way](tcp::Connection& c) { prepare(c, way); },
                                 .on_ready =
                                     [this, listener, &way] {
                                       while (auto* c = (*listener)->accept()) accept(*c, way);
                                     }}));
  }
  return {};
}

void Proxy::accept(tcp::Connection& connection, const Way& way) {
  Carried& carried = add(way);
  auto socket = host::StreamSocket::connect(loop_, way.forward.to.address, way.forward.to.port,
                                            carried.relay->socket_observer());
  if (!socket) return refuse(carried, &connection);
  carried.relay->join(connection, std::move(*socket));
}

Result<void> Proxy::reach(const Way& way) {
  listeners_.push_back(
      TRY(host::Listener::open_loopback(way.forward.port, loop_, [this, &way](host::Fd program) {
        connect(std::move(program), way);
      })));
  return {};
}

void Proxy::connect(host::Fd program, const Way& way) {
  tcp::TcpStack::Batch batch(host_->tcp());
  Carried& carried = add(way);
  auto socket =
      host::StreamSocket::adopt(loop_, std::move(program), carried.relay->socket_observer());
  auto connection = host_->tcp().connect(
      way.forward.to, {.congestion = config_.flow.cc,
                       .on_create = [this, &way](tcp::Connection& c) { prepare(c, way); }});
  if (!socket || !connection) return refuse(carried, connection ? *connection : nullptr);
  carried.relay->join(**connection, std::move(*socket));
}

}  // namespace wh::lab
