#include "lab/proxy.h"

#include <algorithm>
#include <charconv>

namespace wh::lab {
namespace {

constexpr uint32_t kChunk = 65536;

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
      random_(config_.seed),
      chunks_(kChunk, 256),
      bury_(loop, [this] { ended_.clear(); }) {}

Proxy::~Proxy() {
  relays_.clear();
  host_.reset();
}

Result<std::unique_ptr<Proxy>> Proxy::make(Config config, host::RealLoop& loop) {
  std::unique_ptr<Proxy> proxy(new Proxy(std::move(config), loop));
  proxy->host_ = std::make_unique<Host>(loop, proxy->pool_, "proxy", proxy->random_.fork("host"),
                                        Bytes(4 << 20));
  for (const std::string& assignment : proxy->config_.sysctls) {
    TRY(proxy->host_->sysctl().assign(assignment));
  }
  TRY(proxy->join_kernel());
  for (const Forward& forward : proxy->config_.serve) TRY(proxy->serve(forward));
  for (const Forward& forward : proxy->config_.reach) TRY(proxy->reach(forward));
  return proxy;
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
    TRY(kernel.add_address(config_.device, prefix));
  }
  return {};
}

Relay& Proxy::add_relay() {
  ++totals_.connections;
  ++totals_.open;
  relays_.push_back(std::make_unique<Relay>(chunks_, [this](Relay& relay) { forget(relay); }));
  return *relays_.back();
}

void Proxy::forget(Relay& relay) {
  --totals_.open;
  totals_.to_network += relay.totals().to_network;
  totals_.to_program += relay.totals().to_program;
  const auto at = std::find_if(relays_.begin(), relays_.end(),
                               [&](const auto& each) { return each.get() == &relay; });
  CHECK(at != relays_.end());
  ended_.push_back(std::move(*at));
  relays_.erase(at);
  bury_.arm(loop_.now());
}

Result<void> Proxy::serve(const Forward& forward) {
  for (const net::Family family : {net::Family::V4, net::Family::V6}) {
    tcp::Endpoint local;
    local.address.family = family;
    local.port = forward.port;
    const auto listener = std::make_shared<tcp::Listener*>(nullptr);
    *listener = TRY(host_->tcp().listen(
        {.local = local, .congestion = config_.congestion, .on_ready = [this, listener, forward] {
           while (auto* c = (*listener)->accept()) {
             accept(*c, forward);
           }
         }}));
  }
  return {};
}

void Proxy::accept(tcp::Connection& connection, const Forward& forward) {
  connection.set_pace_rate(config_.rate);
  Relay& relay = add_relay();
  auto socket = host::StreamSocket::connect(loop_, forward.to.address, forward.to.port,
                                            relay.socket_observer());
  if (socket) return relay.join(connection, std::move(*socket));
  ++totals_.refused;
  connection.abort();
  forget(relay);
}

Result<void> Proxy::reach(const Forward& forward) {
  listeners_.push_back(
      TRY(host::Listener::open_loopback(forward.port, loop_, [this, forward](host::Fd program) {
        connect(std::move(program), forward);
      })));
  return {};
}

void Proxy::connect(host::Fd program, const Forward& forward) {
  tcp::TcpStack::Batch batch(host_->tcp());
  Relay& relay = add_relay();
  auto socket = host::StreamSocket::adopt(loop_, std::move(program), relay.socket_observer());
  auto connection = host_->tcp().connect(
      forward.to, {.congestion = config_.congestion,
                   .on_create = [this](tcp::Connection& c) { c.set_pace_rate(config_.rate); }});
  if (socket && connection) return relay.join(**connection, std::move(*socket));
  ++totals_.refused;
  if (connection) (*connection)->abort();
  forget(relay);
}

}  // namespace wh::lab
