// Workers: the same flow to the same vnet, frames across threads, books added up.
#include "vnet/workers.h"

#include <array>
#include <thread>

#include "net/worker_port.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::Ip4;

net::PacketPtr datagram(net::PacketPool& pool, Ip4 from, Ip4 to, uint16_t source, uint16_t port) {
  net::PacketPtr p = pool.allocate();
  p->assign(ethernet(
      net::MacAddress::local(1), net::MacAddress::local(9), net::EtherType::Ip4,
      ip4({.source = from, .destination = to, .protocol = net::kProtocolUdp}, udp(source, port))));
  return p;
}

TEST(Workers, get_both_ways_of_a_flow) {
  net::PacketPool pool;
  std::array<int, 4> share{};
  for (uint32_t i = 0; i < 1000; ++i) {
    const Ip4 a{0x0a000000 + i * 7}, b{0x0a010000 + i * 13};
    const auto port = static_cast<uint16_t>(1000 + i);
    const uint32_t worker = worker_of(*datagram(pool, a, b, port, 53), 4);
    ASSERT_LT(worker, 4u);
    EXPECT_EQ(worker, worker_of(*datagram(pool, b, a, 53, port), 4));
    ++share[worker];
  }
  for (const int n : share) EXPECT_GT(n, 150);
  net::PacketPtr arp = pool.allocate();
  arp->assign(ethernet(net::MacAddress::broadcast(), net::MacAddress::local(9), net::EtherType::Arp,
                       Octets(28)));
  EXPECT_EQ(worker_of(*arp, 4), kEveryWorker);
}

TEST(Workers, drop_and_count_what_a_full_ring_cannot_take) {
  net::PacketPool pool;
  net::PacketRing ring(4);
  const auto p = datagram(pool, Ip4::of(10, 0, 0, 1), Ip4::of(10, 0, 0, 2), 1, 2);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(*p));
  EXPECT_FALSE(ring.push(*p));
  EXPECT_EQ(ring.full(), 1u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ring.pop(pool)->size(), p->size());
  EXPECT_EQ(ring.pop(pool), nullptr);
  EXPECT_TRUE(ring.push(*p));
}

// A worker forwards from one port to another; the owner, in another thread, feeds it and takes what
// it sends. Nothing is lost but what a ring counted.
TEST(Workers, forward_across_threads) {
  constexpr uint32_t kPackets = 20'000;
  net::PacketPool worker_pool, owner_pool;
  VirtualLoop worker_loop, owner_loop;
  net::WorkerPort in({.name = "in", .mac = net::MacAddress::local(1)}, worker_loop, worker_pool);
  net::WorkerPort out({.name = "out", .mac = net::MacAddress::local(2)}, worker_loop, worker_pool);
  std::atomic<bool> stop = false;
  std::vector<graph::RuntimeReport> reports;
  std::thread worker([&] {
    Vnet r({.name = "r"}, worker_loop, worker_pool, Random(1));
    MUST(r.sysctl().set("net.inet.ip.forwarding", "1"));
    const uint16_t i = MUST(r.attach(in)), o = MUST(r.attach(out));
    MUST(r.add_address(i, prefix("10.1.0.1/24")));
    MUST(r.add_address(o, prefix("10.2.0.1/24")));
    MUST(r.add_neighbour(o, ip("10.2.0.2"), net::MacAddress::local(7)));
    while (!stop.load()) {
      if (!in.poll()) std::this_thread::yield();
    }
    while (in.poll()) {
    }
    reports.push_back(runtime_report(r));
  });

  struct Sink final : net::Interface {
    using Interface::Interface;
    uint64_t packets = 0;
    void send(net::Frame frame) override { packets += frame.size(); }
  } device({.name = "device", .mac = net::MacAddress::local(2)}, owner_loop);
  uint32_t sent = 0;
  while (sent < kPackets) {
    const auto p = datagram(owner_pool, Ip4{0x0a010002 + sent % 100}, Ip4::of(10, 2, 0, 2),
                            static_cast<uint16_t>(sent), 53);
    if (in.hand_in(*p)) {
      ++sent;
    } else {
      std::this_thread::yield();
    }
    out.drain(device, owner_pool);
  }
  stop = true;
  while (device.packets + out.transmit_full() < kPackets) {
    if (!out.drain(device, owner_pool)) std::this_thread::yield();
  }
  worker.join();
  while (out.drain(device, owner_pool)) {
  }
  // Neighbour discovery of the worker's own comes on top.
  EXPECT_GE(device.packets + out.transmit_full(), kPackets);
  ASSERT_EQ(reports.size(), 1u);
  const std::vector<graph::RuntimeReport> two{reports[0], reports[0]};
  const auto total = sum(two);
  for (size_t i = 0; i < total.rows.size(); ++i) {
    EXPECT_EQ(total.rows[i].vectors, 2 * reports[0].rows[i].vectors);
  }
}

TEST(Workers, add_their_books_up) {
  const std::vector<graph::ErrorReport> errors{
      {{{.count = 2, .node = "n", .name = "x", .reason = "x"}}},
      {{{.count = 3, .node = "n", .name = "x", .reason = "x"},
        {.count = 1, .node = "m", .name = "y", .reason = "y"}}}};
  const auto total = sum(errors);
  ASSERT_EQ(total.rows.size(), 2u);
  EXPECT_EQ(total.rows[0].count, 5u);
  std::vector<InterfaceRow> one{{"eth0", 1, true, 1500, {{"rx packets", 4}}}};
  const std::vector<std::vector<InterfaceRow>> both{one, one};
  EXPECT_EQ(sum(both)[0].counters[0].second, 8u);
}

}  // namespace
}  // namespace wh::vnet
