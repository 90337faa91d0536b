// The fast paths send what the full path would have sent: the same bytes at the same times.
#include <gtest/gtest.h>

#include <functional>

#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

struct Sent {
  Instant when;
  std::vector<uint8_t> bytes;
  uint16_t gso_size;
  net::Checksum checksum;
  bool operator==(const Sent&) const = default;
};

struct Case {
  net::Family family = net::Family::V4;
  bool timestamps = true, checksum_offload = true, ecn = false;
  uint32_t max_gso = 0;
  size_t send_bytes = 200'000;
  Rate pace = 4_Mbps;
  double loss = 0;
};

// Everything that the sender of a paced transfer put on its wire.
std::vector<Sent> transfer(const Case& c, bool fast, Counters* counters = nullptr) {
  TestWorld w(11);
  w.client.ip.checksum_offload = c.checksum_offload;
  w.client.ip.max_gso = c.max_gso;
  for (Tunables* t : {&w.client.tcp.tunables(), &w.server.tcp.tunables()}) {
    t->rfc1323 = c.timestamps ? 1 : 0;
    t->ecn_enable = c.ecn ? 1 : 0;
  }
  w.client.tcp.tunables().fast_send = w.client.tcp.tunables().fast_resend = fast ? 1 : 0;
  w.client.tcp.tunables().sendspace = w.server.tcp.tunables().recvspace = 500'000;
  TestApp two;
  w.establish(c.family);
  std::vector<Sent> sent;
  w.up.tap = [&](Instant when, const net::Packet& p, const net::TcpView&) {
    std::vector<uint8_t> bytes(p.size());
    p.copy_out(0, bytes);
    sent.push_back({when, std::move(bytes), p.gso_size, p.checksum});
  };
  w.up.config.loss = c.loss;
  // Pacing alone holds it back, and all is written at once: a note knows of no growth of cwnd, and
  // of no later write.
  if (!c.pace.is_infinite()) w.a->set_pace_rate(c.pace);
  EXPECT_EQ(*w.a->send(pattern(0, c.send_bytes)), c.send_bytes);
  two.attach(*w.b, 0, false);
  w.run(20s);
  EXPECT_EQ(two.received, c.send_bytes);
  EXPECT_TRUE(two.intact);
  w.check();
  if (counters != nullptr) *counters = w.client.tcp.counters();
  return sent;
}

void expect_same(const Case& c, const std::function<void(const Counters&)>& look) {
  Counters fast_counters;
  const auto fast = transfer(c, true, &fast_counters), full = transfer(c, false);
  ASSERT_EQ(fast.size(), full.size());
  for (size_t i = 0; i < fast.size(); ++i) {
    ASSERT_EQ(fast[i].when, full[i].when) << i;
    ASSERT_TRUE(fast[i] == full[i]) << i;
  }
  look(fast_counters);
}

void took_the_fast_path(const Counters& c) {
  EXPECT_GT(c.fto_send, 5 * c.nfto_send);
}

TEST(FastPath, sends_the_full_paths_packets) {
  expect_same({}, took_the_fast_path);
  expect_same({.family = net::Family::V6}, took_the_fast_path);
  expect_same({.timestamps = false}, took_the_fast_path);
  expect_same({.checksum_offload = false}, took_the_fast_path);
  expect_same({.family = net::Family::V6, .timestamps = false, .checksum_offload = false},
              took_the_fast_path);
  expect_same({.ecn = true}, took_the_fast_path);
  expect_same({.send_bytes = 200'001}, took_the_fast_path);
}

TEST(FastPath, sends_segments_for_the_interface_to_cut) {
  expect_same({.max_gso = 8000}, took_the_fast_path);
  expect_same({.max_gso = 65535, .send_bytes = 199'999}, took_the_fast_path);
}

TEST(FastPath, sends_again_what_the_full_path_would) {
  const auto look = [](const Counters& c) {
    EXPECT_GT(c.fto_rsm_send, 2u);
    EXPECT_EQ(c.nfto_resend, 0u);
  };
  expect_same({.pace = Rate::infinite(), .loss = 0.03}, look);
  expect_same({.checksum_offload = false, .pace = Rate::infinite(), .loss = 0.1}, look);
}

// A segment of the burst for which there is no packet waits; the burst is sent as far as it goes.
TEST(FastPath, survives_a_lack_of_packets) {
  TestWorld w;
  w.up.config.delay = 20ms;  // More are on their way than there are.
  net::PacketPool small(6);
  TestIp ip(w.loop, small, 3, w.random.fork("third"));
  ip.out = &w.up;
  pacing::HptsBooks books;
  pacing::Hpts wheel(w.loop, books);
  TcpStack tcp(ip, wheel);
  w.down.sink = [&](net::Frame f) { ip.input(std::move(f)); };
  Listener& listener = w.listen();
  tcp.tunables().sendspace = 2'000'000;
  TestApp two;
  Connection* a = MUST(tcp.connect(w.server_endpoint(), {}));
  w.run(60ms);
  Connection* b = listener.accept();
  ASSERT_NE(b, nullptr);
  a->set_pace_rate(4_Mbps);
  ASSERT_EQ(*a->send(pattern(0, 1'000'000)), 1'000'000u);
  two.attach(*b, 0, false);
  w.run(60s);
  EXPECT_EQ(two.received, 1'000'000u);
  EXPECT_TRUE(two.intact);
  EXPECT_GT(tcp.counters().no_packet, 0u);
  EXPECT_GT(tcp.counters().fto_send, 0u);
  tcp.check_invariants();
}

// Nothing is outstanding whose answer could give them another turn.
TEST(FullPath, has_a_syn_data_and_a_fin_wait_for_packets) {
  TestWorld w;
  net::PacketPool small(4);
  TestIp ip(w.loop, small, 3, w.random.fork("third"));
  ip.out = &w.up;
  pacing::HptsBooks books;
  pacing::Hpts wheel(w.loop, books);
  TcpStack tcp(ip, wheel);
  w.down.sink = [&](net::Frame f) { ip.input(std::move(f)); };
  Listener& listener = w.listen();
  std::vector<net::PacketPtr> others;
  const auto without_packets = [&](const std::function<void()>& act) {
    while (auto packet = small.allocate()) others.push_back(std::move(packet));
    act();
    w.run(100ms);
    others.clear();
    w.run(100ms);
  };
  Connection* a = nullptr;
  without_packets([&] { a = MUST(tcp.connect(w.server_endpoint(), {})); });
  Connection* b = listener.accept();
  ASSERT_NE(b, nullptr);
  without_packets([&] { EXPECT_EQ(*a->send(pattern(0, 100)), 100u); });
  EXPECT_EQ(b->readable(), 100u);
  without_packets([&] { a->shutdown_send(); });
  EXPECT_EQ(b->state(), State::CloseWait);
  EXPECT_GT(tcp.counters().no_packet, 0u);
  a->abort();
  // Another's SYN meets one that has not left.
  without_packets([&] {
    a = MUST(tcp.connect({w.server.ip.v4(), 90}, {.local = {{}, 5000}}));
    b = MUST(w.server.tcp.connect({ip.v4(), 5000}, {.local = {{}, 90}}));
  });
  EXPECT_EQ(a->state(), State::Established);
  EXPECT_EQ(b->state(), State::Established);
  a->abort();
  w.run(100ms);
}

}  // namespace
}  // namespace wh::tcp
