// A world for tests: two TCP stacks that face each other over two one-way wires, in virtual time.
//
//   client (10.0.0.1, 2001:db8::1)  ==== up ====>   server (10.0.0.2, 2001:db8::2)
//                                   <=== down ===
//
// Each wire has a rate, a delay and faults: scripted (a predicate says what happens to the n-th
// packet) or drawn from a seed (loss, duplication, reordering, corruption). Nothing but TCP is real
// here; packets are handed over whole, except that a corrupted one gets its checksum first and its
// bits flipped after, so that TCP must notice.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "core/random.h"
#include "core/stream_pattern.h"
#include "core/virtual_loop.h"
#include "net/checksum.h"
#include "net/ip_service.h"
#include "net/wire/tcp.h"
#include "tcp/stack.h"

namespace wh::tcp {

enum class Fate : uint8_t { Deliver, Drop, Duplicate, Corrupt, Delay };

class TestWire {
 public:
  struct Config {
    Rate rate = Rate::infinite();  // Of Ethernet frames.
    Duration delay = 5ms;
    Bytes queue = Bytes::max();  // Waiting for the transmitter; what would exceed it is dropped.
    double loss = 0, duplicate = 0, corrupt = 0, reorder = 0;
    Duration reorder_by = 3ms;
  };

  TestWire(Loop& loop, Random random)
      : loop_(loop), random_(random), due_(loop, [this] { deliver(); }) {}

  Config config;
  // When set, decides before chance does. `n` counts packets from 0.
  std::function<Fate(uint64_t n, const net::TcpView& segment)> script;
  // Sees every packet as it enters, with the time.
  std::function<void(Instant, const net::Packet&, const net::TcpView&)> tap;
  std::function<void(net::Frame)> sink;
  uint64_t packets = 0, bytes = 0, dropped = 0;  // Frames entering: Ethernet bytes.

  void accept(net::PacketPtr packet) {
    const auto tcp = net::TcpView::parse(packet->head().subspan(packet->l4_offset),
                                         packet->size() - packet->l4_offset);
    CHECK(tcp);
    const Bytes size(packet->size() + 14);
    Fate fate = script ? script(packets, *tcp) : Fate::Deliver;
    ++packets;
    bytes += static_cast<uint64_t>(size.count());
    if (tap) tap(loop_.now(), *packet, *tcp);
    if (fate == Fate::Deliver) fate = chance();
    const Instant start = std::max(busy_until_, loop_.now());
    if (config.rate.is_infinite() || config.queue == Bytes::max() ||
        config.rate.bytes_in(start - loop_.now()) <= config.queue) {
      if (fate == Fate::Drop) return void(++dropped);
    } else {
      return void(++dropped);
    }
    busy_until_ = start + (config.rate.is_infinite() ? 0ns : config.rate.transfer_time(size));
    Instant when = busy_until_ + config.delay;
    if (fate == Fate::Delay) when += config.reorder_by;
    if (fate == Fate::Duplicate) put(when + 1us, pool_of_->clone(*packet));
    if (fate == Fate::Corrupt) corrupt(*packet);
    put(when, std::move(packet));
  }
  void set_pool(net::PacketPool& pool) { pool_of_ = &pool; }
  bool is_empty() const { return flying_.empty(); }

 private:
  Fate chance() {
    if (random_.chance(config.loss)) return Fate::Drop;
    if (random_.chance(config.duplicate)) return Fate::Duplicate;
    if (random_.chance(config.corrupt)) return Fate::Corrupt;
    if (random_.chance(config.reorder)) return Fate::Delay;
    return Fate::Deliver;
  }
  // Flips a bit behind the IP header.
  void corrupt(net::Packet& packet) {
    net::complete_checksum(packet, 0);
    packet.checksum = net::Checksum::Unknown;
    const uint32_t from = packet.l4_offset;
    const auto at = static_cast<uint32_t>(from + random_.below(packet.size() - from));
    const auto bit = static_cast<uint8_t>(1u << random_.below(8));
    if (at < packet.head_size()) {
      packet.head()[at] = static_cast<uint8_t>(packet.head()[at] ^ bit);
    } else {
      auto payload = packet.unshare_payload();
      payload[at - packet.head_size()] =
          static_cast<uint8_t>(payload[at - packet.head_size()] ^ bit);
    }
  }
  void put(Instant when, net::PacketPtr packet) {
    flying_.emplace(when, std::move(packet));
    due_.arm(flying_.begin()->first);
  }
  void deliver() {
    net::Frame frame;
    while (!flying_.empty() && flying_.begin()->first <= loop_.now() && !frame.full()) {
      auto node = flying_.extract(flying_.begin());
      node.mapped()->arrival = loop_.now();
      frame.push(std::move(node.mapped()));
    }
    if (!flying_.empty()) due_.arm(flying_.begin()->first);
    sink(std::move(frame));
  }

  Loop& loop_;
  Random random_;
  std::multimap<Instant, net::PacketPtr> flying_;
  Timer due_;
  Instant busy_until_{};
  net::PacketPool* pool_of_ = nullptr;
};

// The IP of one host: everything goes out by one wire.
class TestIp final : public net::IpService {
 public:
  TestIp(Loop& loop, net::PacketPool& pool, uint8_t host, Random random)
      : host_(host), loop_(loop), pool_(pool), random_(random) {}

  void register_protocol(uint8_t, net::IpProtocol* protocol) override { protocol_ = protocol; }
  std::optional<net::Route> route(const net::IpAddress& to, uint16_t) const override {
    if (!is_reachable) return std::nullopt;
    net::Route r;
    r.source = to.is_v4() ? net::IpAddress(v4()) : net::IpAddress(v6());
    r.mtu = mtu;
    r.checksum_offload = checksum_offload;
    r.max_gso = max_gso;
    return r;
  }
  bool is_local(const net::IpAddress& a, uint16_t) const override { return a == v4() || a == v6(); }
  void output(net::Frame&& frame) override {
    for (uint32_t i = 0; i < frame.size(); ++i) out->accept(frame.take(i));
  }
  net::PacketPool& pool() override { return pool_; }
  Loop& loop() override { return loop_; }
  SysctlTree& sysctl() override { return sysctl_; }
  Random& random() override { return random_; }

  net::Ip4 v4() const { return net::Ip4::of(10, 0, 0, host_); }
  net::Ip6 v6() const {
    net::Ip6 a;
    a.bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host_};
    return a;
  }
  void input(net::Frame&& frame) {
    if (protocol_ != nullptr) protocol_->input(std::move(frame));
  }

  TestWire* out = nullptr;
  uint32_t mtu = 1500;
  bool checksum_offload = true;
  uint32_t max_gso = 0;
  bool is_reachable = true;

 private:
  uint8_t host_;
  Loop& loop_;
  net::PacketPool& pool_;
  Random random_;
  SysctlTree sysctl_;
  net::IpProtocol* protocol_ = nullptr;
};

struct TestHost {
  TestHost(Loop& loop, net::PacketPool& pool, uint8_t number, Random random)
      : ip(loop, pool, number, random), wheel(loop, books), tcp(ip, wheel) {}
  TestIp ip;
  pacing::HptsBooks books;
  pacing::Hpts wheel;
  TcpStack tcp;
};

// Joins two hosts by a wire each way.
inline void join(TestHost& client, TestWire& up, TestHost& server, TestWire& down,
                 net::PacketPool& pool) {
  client.ip.out = &up;
  server.ip.out = &down;
  up.set_pool(pool);
  down.set_pool(pool);
  up.sink = [&server](net::Frame f) { server.ip.input(std::move(f)); };
  down.sink = [&client](net::Frame f) { client.ip.input(std::move(f)); };
}

class TestWorld {
 public:
  static constexpr uint16_t kPort = 80;
  explicit TestWorld(uint64_t seed = 1, Instant start = VirtualLoop::kEpoch)
      : loop(start),
        random(seed),
        up(loop, random.fork("up")),
        down(loop, random.fork("down")),
        client(loop, pool, 1, random.fork("client")),
        server(loop, pool, 2, random.fork("server")) {
    join(client, up, server, down, pool);
  }

  Endpoint server_endpoint(net::Family family = net::Family::V4) const {
    if (family == net::Family::V4) return {server.ip.v4(), kPort};
    return {server.ip.v6(), kPort};
  }
  Listener& listen(net::Family family = net::Family::V4, size_t backlog = 128) {
    Listener::Config config;
    config.local.address.family = family;
    config.local.port = kPort;
    config.backlog = backlog;
    return *MUST(server.tcp.listen(std::move(config)));
  }
  Connection& connect(net::Family family = net::Family::V4) {
    return *MUST(client.tcp.connect(server_endpoint(family), {}));
  }
  // A listener, a connection to it, and the handshake done.
  void establish(net::Family family = net::Family::V4) {
    listener = &listen(family);
    a = &connect(family);
    run(4 * up.config.delay + 1ms);
    b = listener->accept();
    CHECK(b != nullptr && a->state() == State::Established);
  }
  void run(Duration d) { loop.run_for(d); }
  void check() {
    client.tcp.check_invariants();
    server.tcp.check_invariants();
  }

  VirtualLoop loop;
  Random random;
  net::PacketPool pool;
  TestWire up, down;
  TestHost client, server;
  Listener* listener = nullptr;
  Connection* a = nullptr;  // At the client,
  Connection* b = nullptr;  // at the server.
};

// The stream that tests send, from a position on.
inline constexpr StreamPattern kPattern(1);
inline std::vector<uint8_t> pattern(uint64_t from, size_t n) {
  std::vector<uint8_t> bytes(n);
  kPattern.fill(from, bytes);
  return bytes;
}

// Writes `total` bytes of the pattern as room appears, then shuts down if asked; reads and checks
// what comes.
class TestApp final : public ConnectionObserver {
 public:
  void attach(Connection& c, uint64_t to_send, bool then_shut_down) {
    c.set_observer(this);
    to_send_ = to_send;
    then_shut_down_ = then_shut_down;
    write(c);
    read(c);
  }
  void on_ready(Connection& c, uint8_t readiness) override {
    if ((readiness & (kConnected | kWritable)) != 0) write(c);
    if ((readiness & kReadable) != 0) read(c);
    if ((readiness & kEnded) != 0) ended = c.end();
  }

  uint64_t written = 0, received = 0;
  bool intact = true, saw_end = false;
  End ended = End::None;
  bool reads = true;

  void read(Connection& c) {
    uint8_t buffer[4096];
    while (reads) {
      const size_t n = c.recv(buffer);
      if (n == 0) break;
      intact = intact && !kPattern.first_difference(received, std::span(buffer, n));
      received += n;
    }
    saw_end = saw_end || c.at_end();
  }
  void write(Connection& c) {
    while (written < to_send_) {
      const auto bytes = pattern(written, std::min<uint64_t>(to_send_ - written, 8192));
      const auto taken = c.send(bytes);
      if (!taken || *taken == 0) return;
      written += *taken;
    }
    if (then_shut_down_) c.shutdown_send();
  }

 private:
  uint64_t to_send_ = 0;
  bool then_shut_down_ = false;
};

}  // namespace wh::tcp
