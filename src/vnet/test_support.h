// Two or three vnets in virtual time, joined by cables: the small world that this room's tests live
// in.
#pragma once

#include <gtest/gtest.h>

#include "core/virtual_loop.h"
#include "net/link/cable.h"
#include "net/wire/describe.h"
#include "vnet/stack.h"
#include "vnet/test_packets.h"
#include "vnet/vnet.h"

namespace wh::vnet {

inline net::IpAddress ip(std::string_view text) {
  return MUST(net::parse_ip(text));
}
inline net::Prefix prefix(std::string_view text) {
  return MUST(net::parse_prefix(text));
}

inline net::Ip6 ip6_of(std::string_view text) {
  return MUST(net::parse_ip6(text));
}
// The host under test and the one it talks to.
inline const net::Ip4 kOwn = net::Ip4::of(10, 0, 0, 1), kPeer = net::Ip4::of(10, 0, 0, 2);
inline const net::Ip6 kOwn6 = ip6_of("2001:db8::1"), kPeer6 = ip6_of("2001:db8::2");

// Bytes that differ from their neighbours and from those 256 further on.
inline Octets pattern(size_t size) {
  Octets bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 31 + i / 256);
  return bytes;
}

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
  void input(net::Frame&& frame) override {
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

inline uint64_t count(const Vnet& vnet, std::string_view node, std::string_view error) {
  return vnet.graph().error_count(node, error);
}

struct World {
  // Pings to the end and says how it went.
  PingStatistics ping(Vnet& from, std::string_view to, Ping::Config config = {},
                      Ping::Actions actions = {}) {
    config.destination = ip(to);
    config.interval = 10ms;
    Ping p(from, config, std::move(actions));
    const auto started = p.start();
    EXPECT_TRUE(started) << started.error().text;
    loop.run_for(5s);
    EXPECT_TRUE(p.is_done());
    return p.statistics();
  }

  net::PacketPool pool;
  VirtualLoop loop;
  Random random{1};
};

inline net::Interface::Config port(const char* name, uint32_t number) {
  return {.name = name, .mac = net::MacAddress::local(number)};
}

// One host h (10.0.0.1, 2001:db8::1) on a cable; the test plays the other end, 10.0.0.2 and
// 2001:db8::2, whose link address the host knows.
class HostTest : public testing::Test, protected World {
 protected:
  HostTest() {
    MUST(h.sysctl().set("net.inet6.ip6.dad_count", "0"));
    index = MUST(h.attach(cable.a()));
    MUST(h.add_address(index, prefix("10.0.0.1/24")));
    MUST(h.add_address(index, prefix("2001:db8::1/64")));
    MUST(h.add_neighbour(index, ip("10.0.0.2"), peer_mac()));
    MUST(h.add_neighbour(index, ip("2001:db8::2"), peer_mac()));
    cable.a().add_tap(&recorder);
  }
  net::MacAddress own_mac() { return cable.a().mac(); }
  net::MacAddress peer_mac() { return cable.b().mac(); }

  // A frame arrives at h, from the wire.
  void receive(std::span<const uint8_t> bytes) {
    net::PacketPtr p = pool.allocate();
    p->assign(bytes);
    net::Frame frame;
    frame.push(std::move(p));
    cable.a().receive(std::move(frame));
    loop.run_for(0s);
  }
  void receive_ip4(const Octets& packet) {
    receive(ethernet(own_mac(), peer_mac(), net::EtherType::Ip4, packet));
  }
  void receive_ip6(const Octets& packet) {
    receive(ethernet(own_mac(), peer_mac(), net::EtherType::Ip6, packet));
  }
  // What h sent since the last call, in words.
  std::vector<std::string> sent() {
    std::vector<std::string> lines;
    for (const Octets& bytes : recorder.out) {
      lines.push_back(net::describe_ethernet(bytes, bytes.size()));
    }
    recorder.out.clear();
    return lines;
  }
  uint64_t count(std::string_view node, std::string_view error) const {
    return h.graph().error_count(node, error);
  }
  uint64_t drops() const { return h.graph().drops(); }

  Recorder recorder;
  net::Cable cable{port("eth0", 1), port("peer", 2), loop};
  Vnet h{{.name = "h"}, loop, pool, random.fork("h")};
  uint16_t index = 0;
};

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

  net::Cable cable{port("eth0", 1), port("eth0", 2), loop};
  Vnet a{{.name = "a"}, loop, pool, random.fork("a")};
  Vnet b{{.name = "b"}, loop, pool, random.fork("b")};
  uint16_t ia = 0, ib = 0;
};

// a (10.1.0.2) --- r (10.1.0.1, 10.2.0.1) --- b (10.2.0.2), and 2001:db8:1::/64, 2001:db8:2::/64
// alike.
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
