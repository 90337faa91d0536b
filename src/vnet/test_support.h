// Two or three vnets in virtual time, joined by cables: the small world that this room's tests live in.
#pragma once

#include <gtest/gtest.h>

#include "core/virtual_loop.h"
#include "net/link/cable.h"
#include "vnet/stack.h"
#include "vnet/vnet.h"

namespace wh::vnet {

inline net::IpAddress ip(std::string_view text) { return MUST(net::parse_ip(text)); }
inline net::Prefix prefix(std::string_view text) { return MUST(net::parse_prefix(text)); }

// Keeps the bytes of every packet that passes an interface.
class Recorder final : public net::PacketTap {
 public:
  void see(const net::Packet& packet, net::Direction direction, Instant) override {
    std::vector<uint8_t> bytes(packet.size());
    packet.copy_out(0, bytes);
    (direction == net::Direction::In ? in : out).push_back(std::move(bytes));
  }
  std::vector<std::vector<uint8_t>> in, out;
};

// A transport protocol that keeps what it gets.
class Listener final : public net::IpProtocol {
 public:
  void input(net::Frame frame) override {
    vectors.push_back(frame.size());
    for (uint32_t i = 0; i < frame.size(); ++i) packets.push_back(frame.take(i));
  }
  void error(const net::IpError& e) override {
    errors.push_back(e);
    errors.back().transport = {};
  }
  std::vector<uint32_t> vectors;
  std::vector<net::PacketPtr> packets;
  std::vector<net::IpError> errors;
};

struct World {
  net::PacketPool pool;
  VirtualLoop loop;
  Random random{1};
};

inline net::Interface::Config port(const char* name, uint32_t number) {
  return {.name = name, .mac = net::MacAddress::local(number)};
}

// a (10.0.0.1, 2001:db8::1) --- b (10.0.0.2, 2001:db8::2)
class PairTest : public testing::Test, protected World {
 protected:
  PairTest() {
    ia = MUST(a.attach(cable.a()));
    ib = MUST(b.attach(cable.b()));
    MUST(a.add_address(ia, prefix("10.0.0.1/24")));
    MUST(b.add_address(ib, prefix("10.0.0.2/24")));
    MUST(a.add_address(ia, prefix("2001:db8::1/64")));
    MUST(b.add_address(ib, prefix("2001:db8::2/64")));
  }
  ~PairTest() override {
    // Nothing may be lost: what is not on its way or waiting somewhere has come back.
    a.register_protocol(net::kProtocolTcp, nullptr);
    b.register_protocol(net::kProtocolTcp, nullptr);
  }

  static uint64_t count(const Vnet& vnet, std::string_view node, std::string_view error) {
    return vnet.graph().error_count(node, error);
  }
  // Sends whole pings from a and returns how they went.
  PingStatistics ping(Vnet& from, std::string_view to, Ping::Config config = {}) {
    config.destination = ip(to);
    config.interval = 10ms;
    Ping p(from, config, {});
    const auto started = p.start();
    EXPECT_TRUE(started) << started.error().text;
    loop.run_for(5s);
    EXPECT_TRUE(p.is_done());
    return p.statistics();
  }
  // A frame arrives at an interface as if from the wire.
  void inject(net::Interface& interface, std::span<const uint8_t> bytes) {
    net::PacketPtr p = pool.allocate();
    p->assign(bytes);
    net::Frame frame;
    frame.push(std::move(p));
    interface.receive(std::move(frame));
  }

  net::Cable cable{port("eth0", 1), port("eth0", 2), loop};
  Vnet a{{.name = "a"}, loop, pool, random.fork("a")};
  Vnet b{{.name = "b"}, loop, pool, random.fork("b")};
  uint16_t ia = 0, ib = 0;
};

// a (10.1.0.2) --- r (10.1.0.1, 10.2.0.1) --- b (10.2.0.2), and 2001:db8:1::/64, 2001:db8:2::/64 alike.
class RouterTest : public testing::Test, protected World {
 protected:
  RouterTest() {
    ia = MUST(a.attach(left.a()));
    const uint16_t r1 = MUST(r.attach(left.b())), r2 = MUST(r.attach(right.a()));
    ib = MUST(b.attach(right.b()));
    MUST(a.add_address(ia, prefix("10.1.0.2/24")));
    MUST(r.add_address(r1, prefix("10.1.0.1/24")));
    MUST(r.add_address(r2, prefix("10.2.0.1/24")));
    MUST(b.add_address(ib, prefix("10.2.0.2/24")));
    MUST(a.add_address(ia, prefix("2001:db8:1::2/64")));
    MUST(r.add_address(r1, prefix("2001:db8:1::1/64")));
    MUST(r.add_address(r2, prefix("2001:db8:2::1/64")));
    MUST(b.add_address(ib, prefix("2001:db8:2::2/64")));
    MUST(a.add_route(prefix("0.0.0.0/0"), ip("10.1.0.1")));
    MUST(b.add_route(prefix("0.0.0.0/0"), ip("10.2.0.1")));
    MUST(a.add_route(prefix("::/0"), ip("2001:db8:1::1")));
    MUST(b.add_route(prefix("::/0"), ip("2001:db8:2::1")));
    MUST(r.sysctl().set("net.inet.ip.forwarding", "1"));
    MUST(r.sysctl().set("net.inet6.ip6.forwarding", "1"));
  }

  net::Cable left{port("eth0", 1), port("left", 2), loop};
  net::Cable right{port("right", 3), port("eth0", 4), loop};
  Vnet a{{.name = "a"}, loop, pool, random.fork("a")};
  Vnet r{{.name = "r"}, loop, pool, random.fork("r")};
  Vnet b{{.name = "b"}, loop, pool, random.fork("b")};
  uint16_t ia = 0, ib = 0;
};

}  // namespace wh::vnet
