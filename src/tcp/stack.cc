#include "tcp/stack.h"

#include <algorithm>

#include "tcp/congestion/bbr.h"
#include "tcp/congestion/cubic.h"
#include "tcp/congestion/newreno.h"
#include "tcp/congestion/vegas.h"

namespace wh::tcp {
namespace {

uint64_t half(const Endpoint& e, size_t which) {
  uint64_t word;
  std::memcpy(&word, e.address.bits.bytes.data() + 8 * which, 8);
  return word;
}

}  // namespace

TcpStack::TcpStack(net::IpService& ip, pacing::Hpts& wheel)
    : ip_(ip),
      loop_(ip.loop()),
      wheel_(wheel),
      idle_timers_(loop_),
      key_{ip.random().next(), ip.random().next()},
      cookies_(SipKey{ip.random().next(), ip.random().next()}),
      table_(key_) {
  add_sysctls(ip.sysctl(), tunables_, counters_);
  add_facts();
  const auto newreno = [this] {
    NewReno::Config config;
    config.beta_percent = static_cast<uint32_t>(tunables_.newreno_beta);
    config.beta_ecn_percent = static_cast<uint32_t>(tunables_.newreno_beta_ecn);
    config.abc_l = static_cast<uint32_t>(tunables_.abc_l_var);
    config.counts_bytes = tunables_.rfc3465 != 0;
    config.heeds_marks_less = tunables_.cc_abe != 0;
    config.hystart = tunables_.rack_hystart != 0;
    return config;
  };
  const auto of_vegas = [newreno] {  // It has its own way out of slow start.
    NewReno::Config config = newreno();
    config.may_hystart = false;
    return config;
  };
  add_congestion("newreno", [newreno] { return std::make_unique<NewReno>(newreno()); });
  add_congestion("vegas", [of_vegas] { return std::make_unique<Vegas>(of_vegas()); });
  add_congestion("bbr", [this] { return std::make_unique<Bbr>(Random(ip_.random().next())); });
  add_congestion("cubic", [this] { return std::make_unique<Cubic>(tunables_.hystart != 0); });
  ip_.register_protocol(net::kProtocolTcp, this);
}

TcpStack::~TcpStack() {
  ip_.register_protocol(net::kProtocolTcp, nullptr);
  const auto destroy = [](Connection* c) {
    c->stop_timers();
    c->in_backlog_.unlink();
    c->is_listed_ = false;
    delete c;
  };
  while (Connection* c = all_.pop_front()) destroy(c);
  while (Connection* c = ended_.pop_front()) destroy(c);
  remove_sysctls(ip_.sysctl());
  remove_facts();
}

Result<Connection*> TcpStack::connect(const Endpoint& remote, const ConnectOptions& options) {
  Batch batch(*this);
  const auto route = ip_.route(remote.address, remote.table);
  if (!route) {
    return fail_with(std::errc::network_unreachable,
                     fmt::format("connect to {}", to_string(remote)));
  }
  if (table_.size() >= static_cast<size_t>(tunables_.max_connections)) {
    ++counters_.connection_limit;
    return fail_with(std::errc::not_enough_memory, fmt::format("connect to {}", to_string(remote)));
  }
  Endpoint local = options.local;
  local.table = remote.table;
  if (local.address.is_unspecified()) local.address = route->source;
  if (local.address.family != remote.address.family) {
    return fail_with(std::errc::address_family_not_supported,
                     fmt::format("connect from {} to {}", to_string(local), to_string(remote)));
  }
  if (local.port == 0) local.port = TRY(choose_port(local, remote));
  if (find(local, remote) != nullptr) {
    return fail_with(std::errc::address_in_use,
                     fmt::format("connect from {} to {}", to_string(local), to_string(remote)));
  }
  if (!options.congestion.empty()) TRY(make_congestion(options.congestion));  // Is it known?
  Connection* c = make(local, remote, *route, options.congestion).release();
  add(*c);
  c->observer_ = options.observer;
  if (options.on_create) options.on_create(*c);
  ++counters_.connects;
  c->open_actively(initial_sequence(local, remote));
  return c;
}

Result<Listener*> TcpStack::listen(Listener::Config config) {
  const Endpoint local = config.local;
  if (listeners_.contains(local) || local.port == 0) {
    return fail_with(local.port == 0 ? std::errc::address_not_available : std::errc::address_in_use,
                     fmt::format("listen on {}", to_string(local)));
  }
  if (!local.address.is_unspecified() && !ip_.is_local(local.address, local.table)) {
    return fail_with(std::errc::address_not_available,
                     fmt::format("listen on {}", to_string(local)));
  }
  if (!config.congestion.empty()) TRY(make_congestion(config.congestion));
  auto& place = listeners_[local];
  place = std::make_unique<Listener>(*this, std::move(config));
  return place.get();
}

void TcpStack::close_listener(Listener& listener) {
  const auto at = listeners_.find(listener.local());
  CHECK(at != listeners_.end() && at->second.get() == &listener);
  listener.in_ready_.unlink();
  closed_listeners_.push_back(std::move(at->second));  // Until the batch ends.
  listeners_.erase(at);
}

Result<void> TcpStack::leave_table(uint16_t table) {
  for (const auto& [local, listener] : listeners_) {
    if (local.table == table) return fail("{} listens in it", to_string(local));
  }
  Batch batch(*this);
  for_each([&](Connection& c) {
    if (c.local().table == table) c.abort();
  });
  return {};
}

void TcpStack::add_congestion(std::string name, CongestionFactory factory) {
  congestion_[std::move(name)] = std::move(factory);
}

Result<std::unique_ptr<CongestionControl>> TcpStack::make_congestion(std::string_view name) const {
  const auto at = congestion_.find(name);
  if (at != congestion_.end()) return at->second();
  std::string known;
  for (const auto& [each, factory] : congestion_) known += (known.empty() ? "" : ", ") + each;
  return fail("unknown congestion control '{}'; there are: {}", name, known);
}

std::unique_ptr<Connection> TcpStack::make(const Endpoint& local, const Endpoint& remote,
                                           const net::Route& route, const std::string& congestion) {
  auto c = std::make_unique<Connection>(*this, local, remote, route);
  // The name was checked when it was given.
  c->control_ = MUST(make_congestion(congestion.empty() ? tunables_.cc_algorithm : congestion));
  return c;
}

// RFC 6056 section 3.3.1: a random start, then the next free one.
Result<uint16_t> TcpStack::choose_port(const Endpoint& local, const Endpoint& remote) {
  const auto [first, last] = std::minmax(
      {static_cast<uint16_t>(tunables_.port_first), static_cast<uint16_t>(tunables_.port_last)});
  const uint32_t count = uint32_t{last} - first + 1;
  const auto start = static_cast<uint32_t>(ip_.random().below(count));
  const ScarcePorts::Ports* noted = scarce_ports_.find(local, remote);
  if (noted == nullptr) {
    for (uint32_t i = 0; i < std::min(count, ScarcePorts::kLongSearch); ++i) {
      const auto port = static_cast<uint16_t>(first + (start + i) % count);
      if (!is_taken(local, port, remote)) return port;
    }
    if (count > ScarcePorts::kLongSearch) noted = &note_ports(local, remote);
  }
  if (noted != nullptr) {
    const auto port = noted->next(static_cast<uint16_t>(first + start), first, last);
    if (port) return *port;
  }
  return fail_with(std::errc::address_not_available,
                   fmt::format("a port for a connection to {}", to_string(remote)));
}

bool TcpStack::is_taken(const Endpoint& local, uint16_t port, const Endpoint& remote) const {
  return table_.find({local.address, port, local.table}, remote) != nullptr;
}

const ScarcePorts::Ports& TcpStack::note_ports(const Endpoint& local, const Endpoint& remote) {
  auto ports = std::make_unique<ScarcePorts::Ports>();
  for (uint32_t i = 0; i <= UINT16_MAX; ++i) {
    const auto port = static_cast<uint16_t>(i);
    if (is_taken(local, port, remote)) ports->set(port, true);
  }
  return scarce_ports_.note(local, remote, std::move(ports));
}

// RFC 6528: a clock that ticks every 4 us, and a secret function of the connection.
SeqNum TcpStack::initial_sequence(const Endpoint& local, const Endpoint& remote) const {
  const auto clock = static_cast<uint32_t>(now().time_since_epoch() / 4us);
  return SeqNum(clock + static_cast<uint32_t>(keyed_hash(local, remote, 1)));
}

uint32_t TcpStack::timestamp_offset(const Endpoint& local, const Endpoint& remote) const {
  return static_cast<uint32_t>(keyed_hash(local, remote, 2));
}

uint64_t TcpStack::keyed_hash(const Endpoint& local, const Endpoint& remote, uint64_t salt) const {
  return siphash(key_, {half(local, 0), half(local, 1), half(remote, 0), half(remote, 1),
                        uint64_t{local.table} << 48 | uint64_t{local.port} << 32 |
                            uint64_t{remote.port} << 8 | salt});
}

// The least scale by which 65535 covers the largest receive buffer (RFC 7323 section 2.3).
uint8_t TcpStack::receive_scale() const {
  uint8_t scale = 0;
  while (scale < 14 && (int64_t{65535} << scale) < tunables_.maxsockbuf) ++scale;
  return scale;
}

// --- batches ---

void TcpStack::mark(Connection& c) {
  c.wants_output_ = true;
  if (!c.in_batch_.is_linked()) batch_.push_back(c);
}

void TcpStack::bury(Connection& c) {
  CHECK(c.is_released_ && c.state() == State::Closed);
  buried_.push_back(&c);
}

void TcpStack::settle() {
  // Once, or a stack that has more to do than time would never return to its loop.
  bool is_ticked = false;
  do {
    while (Connection* c = batch_.pop_front()) {
      if (c->wants_output_) c->output();
      if (c->told_ != 0 && c->observer_ != nullptr) {
        c->observer_->on_ready(*c, std::exchange(c->told_, uint8_t{0}));
      }
    }
    while (Listener* l = ready_listeners_.pop_front()) {
      if (l->config().on_ready && l->waiting() > 0) l->config().on_ready();
    }
    if (!out_.empty()) flush();
    if (!buried_.empty()) {
      for (Connection* c : std::exchange(buried_, {})) delete c;
    }
    if (!closed_listeners_.empty()) closed_listeners_.clear();
    if (!std::exchange(is_ticked, true)) wheel_.softclock();
  } while (!batch_.empty() || !buried_.empty() || !out_.empty());
}

// Only here do segments leave: IP may deliver to this very stack before output() returns.
inline void TcpStack::flush() {
  std::swap(out_, flushing_);
  for (net::Frame& frame : flushing_) ip_.output(std::move(frame));
  flushing_.clear();
}

net::PacketPtr TcpStack::packet() {
  net::PacketPtr p = ip_.pool().allocate();
  if (p == nullptr) ++counters_.no_packet;
  return p;
}

void TcpStack::send(net::PacketPtr packet) {
  ++counters_.segments_out;
  if (out_.empty() || out_.back().full()) {
    net::Frame fresh;  // emplace_back() would write zeros all over it.
    out_.push_back(std::move(fresh));
  }
  out_.back().push(std::move(packet));
}

void TcpStack::send(net::Frame&& packets) {
  counters_.segments_out += packets.size();
  if (out_.empty() || out_.back().size() + packets.size() > net::Frame::kCapacity) {
    out_.push_back(std::move(packets));
  } else {
    out_.back().append(packets.release());
  }
}

void TcpStack::error(const net::IpError& error) {
  Batch batch(*this);
  ++counters_.icmp_errors;
  if (error.transport.size() < 8) return void(++counters_.icmp_ignored);
  Endpoint local{error.source, net::load16(error.transport.data()), error.table};
  Endpoint remote{error.destination, net::load16(error.transport.data() + 2), error.table};
  Connection* c = find(local, remote);
  if (c == nullptr) return void(++counters_.icmp_ignored);
  c->on_ip_error(error, SeqNum(net::load32(error.transport.data() + 4)));
}

void TcpStack::check_invariants() {
  size_t listed = 0;
  for_each([&](Connection& c) {
    CHECK(find(c.local_, c.remote_) == &c);
    const ScarcePorts::Ports* noted = scarce_ports_.find(c.local_, c.remote_);
    CHECK(noted == nullptr || noted->is_taken(c.local_.port));
    c.check_invariants();
    ++listed;
  });
  CHECK_EQ(listed, table_.size());
  for (Connection* c = ended_.front(); c != nullptr; c = ended_.next(*c)) c->check_invariants();
}

}  // namespace wh::tcp
