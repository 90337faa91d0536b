// Connections by state, then by topic, between two stacks in a world of their own.
#include <gtest/gtest.h>

#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

// --- the handshake ---

TEST(Handshake, establishes_both_sides_in_one_and_a_half_round_trips) {
  TestWorld w;
  w.listener = &w.listen();
  w.a = &w.connect();
  EXPECT_EQ(w.a->state(), State::SynSent);
  w.run(5ms);
  EXPECT_EQ(w.listener->half_open(), 1u);
  w.run(5ms);
  EXPECT_EQ(w.a->state(), State::Established);
  EXPECT_EQ(w.listener->waiting(), 0u);
  w.run(5ms);
  ASSERT_EQ(w.listener->waiting(), 1u);
  w.b = w.listener->accept();
  EXPECT_EQ(w.b->state(), State::Established);
  EXPECT_EQ(w.b->remote(), w.a->local());
  w.check();
}

TEST(Handshake, offers_what_freebsd_offers) {
  TestWorld w;
  w.listen();
  bool seen = false;
  w.up.tap = [&](Instant, const net::Packet&, const net::TcpView& t) {
    if (!t.has(net::kTcpSyn)) return;
    seen = true;
    EXPECT_EQ(t.window(), 65535);
    const net::TcpOptions o = t.options();
    EXPECT_EQ(o.mss, 1460);
    EXPECT_EQ(o.window_scale, 6);
    EXPECT_TRUE(o.sack_permitted);
    EXPECT_TRUE(o.timestamps.has_value());
  };
  w.connect();
  w.run(20ms);
  EXPECT_TRUE(seen);
}

TEST(Handshake, takes_timestamps_off_the_segment_size) {
  TestWorld w;
  w.establish();
  EXPECT_EQ(w.a->info().mss, Bytes(1448));
  EXPECT_EQ(w.b->info().mss, Bytes(1448));
  EXPECT_EQ(w.a->info().send_scale, 6);
}

TEST(Handshake, chooses_a_port_of_the_range_whichever_end_of_it_is_called_the_first) {
  TestWorld world;
  world.client.tcp.tunables().port_first = 40'001;
  world.client.tcp.tunables().port_last = 40'000;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(world.connect().local().port / 2, 20'000);
  EXPECT_FALSE(world.client.tcp.connect(world.server_endpoint(), {}));
}

TEST(Handshake, works_over_ipv6) {
  TestWorld w;
  w.establish(net::Family::V6);
  EXPECT_EQ(w.a->info().mss, Bytes(1428));
}

TEST(Handshake, repeats_a_lost_syn_after_a_second) {
  TestWorld w;
  w.listener = &w.listen();
  w.up.script = [](uint64_t n, const net::TcpView&) { return n == 0 ? Fate::Drop : Fate::Deliver; };
  w.a = &w.connect();
  w.run(1009ms);
  EXPECT_EQ(w.a->state(), State::SynSent);
  w.run(4ms);
  EXPECT_EQ(w.a->state(), State::Established);
  EXPECT_EQ(w.a->congestion().cwnd, w.a->congestion().mss);
}

TEST(Handshake, repeats_a_lost_syn_ack) {
  TestWorld w;
  w.listener = &w.listen();
  w.down.script = [](uint64_t n, const net::TcpView&) {
    return n == 0 ? Fate::Drop : Fate::Deliver;
  };
  w.a = &w.connect();
  w.run(1100ms);
  EXPECT_EQ(w.a->state(), State::Established);
  EXPECT_EQ(w.listener->waiting(), 1u);
}

TEST(Handshake, is_refused_where_nobody_listens) {
  TestWorld w;
  TestApp app;
  Connection& c = w.connect();
  app.attach(c, 0, false);
  w.run(20ms);
  EXPECT_EQ(app.ended, End::Refused);
  EXPECT_EQ(c.state(), State::Closed);
  c.close();
  w.check();
}

TEST(Handshake, ends_simultaneous_opens_in_one_connection) {
  TestWorld w;
  const Endpoint one{w.client.ip.v4(), 1000}, two{w.server.ip.v4(), 2000};
  Connection* a = MUST(w.client.tcp.connect(two, {.local = one}));
  Connection* b = MUST(w.server.tcp.connect(one, {.local = two}));
  w.run(50ms);
  EXPECT_EQ(a->state(), State::Established);
  EXPECT_EQ(b->state(), State::Established);
  w.check();
}

// --- data ---

class Transfer : public ::testing::TestWithParam<net::Family> {};

TEST_P(Transfer, delivers_every_byte_both_ways_and_closes) {
  TestWorld w;
  TestApp one, two;
  w.establish(GetParam());
  one.attach(*w.a, 3'000'000, true);
  two.attach(*w.b, 1'000'000, true);
  w.run(60s);
  EXPECT_EQ(one.received, 1'000'000u);
  EXPECT_EQ(two.received, 3'000'000u);
  EXPECT_TRUE(one.intact && two.intact && one.saw_end && two.saw_end);
  EXPECT_EQ(w.a->info().retransmitted, Bytes(0));
  w.check();
  w.a->close();
  w.b->close();
  w.run(70s);
  EXPECT_EQ(w.client.tcp.connections(), 0u);
  EXPECT_EQ(w.server.tcp.connections(), 0u);
}

TEST_P(Transfer, survives_losses_in_both_directions) {
  TestWorld w(7);
  w.up.config.loss = w.down.config.loss = 0.03;
  TestApp one, two;
  w.listener = &w.listen(GetParam());
  w.a = &w.connect(GetParam());
  while (w.b == nullptr) {
    w.run(100ms);
    w.b = w.listener->accept();
  }
  one.attach(*w.a, 500'000, true);
  two.attach(*w.b, 500'000, true);
  w.run(300s);
  EXPECT_EQ(one.received, 500'000u);
  EXPECT_EQ(two.received, 500'000u);
  EXPECT_TRUE(one.intact && two.intact && one.saw_end && two.saw_end);
  w.check();
}

INSTANTIATE_TEST_SUITE_P(Families, Transfer, ::testing::Values(net::Family::V4, net::Family::V6));

TEST(Data, fills_a_link) {
  TestWorld w;
  w.up.config = {.rate = 40_Mbps, .delay = 10ms, .queue = Bytes(200'000)};
  w.down.config = {.rate = 40_Mbps, .delay = 10ms};
  TestApp one, two;
  w.establish();
  one.attach(*w.a, 1'000'000'000, false);
  two.attach(*w.b, 0, false);
  w.run(5s);
  const uint64_t before = two.received;
  w.run(20s);
  const double goodput = static_cast<double>(two.received - before) * 8 / 20;
  EXPECT_NEAR(goodput, 40e6 * 1448 / 1514, 40e6 * 0.01);
  w.check();
}

TEST(Data, leaves_the_cutting_to_an_interface_that_can) {
  TestWorld w;
  w.client.ip.max_gso = 65535;
  uint64_t cut = 0;
  w.up.tap = [&](Instant, const net::Packet& p, const net::TcpView& t) {
    if (t.payload_size() <= 1448) return;
    ++cut;
    EXPECT_EQ(p.gso_size, 1448);
    EXPECT_EQ(t.payload_size() % 1448, 0u);
  };
  TestApp one, two;
  w.establish();
  one.attach(*w.a, 1'000'000, true);
  two.attach(*w.b, 0, true);
  w.run(10s);
  EXPECT_EQ(two.received, 1'000'000u);
  EXPECT_TRUE(two.intact);
  EXPECT_GT(cut, 10u);
}

TEST(Data, paces_at_exactly_the_rate) {
  TestWorld w;
  w.up.config.delay = w.down.config.delay = 10ms;
  TestApp one, two;
  w.establish();
  w.a->set_pace_rate(12_Mbps);
  one.attach(*w.a, 1'000'000'000, false);
  two.attach(*w.b, 0, false);
  w.run(2s);
  const uint64_t before = w.up.bytes;
  w.run(10s);
  EXPECT_NEAR(static_cast<double>(w.up.bytes - before) * 8 / 10, 12e6, 12e3);
  EXPECT_GT(w.client.tcp.counters().fto_send, 0u);
  w.check();
}

}  // namespace
}  // namespace wh::tcp
