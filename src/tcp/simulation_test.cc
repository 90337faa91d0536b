// Seeded simulations: two stacks over wires that lose, repeat, reorder and corrupt, both ways at
// once. After every event the invariants are checked; in the end every byte stream must have
// arrived whole and every connection gone.
//
// Swarm testing: each seed switches some faults and features off altogether, so that the others go
// deep. WH_SEED=n replays one seed, WH_SEEDS=n runs so many from 1. With WH_TRACE=1 every packet is
// printed as it enters its wire: seconds since the beginning, direction, the segment.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tcp/socket_option.h"
#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

struct Plan {
  net::Family family = net::Family::V4;
  uint64_t up_bytes = 0, down_bytes = 0;
  Rate pace_up = Rate::infinite(), pace_down = Rate::infinite();
};

void set_faults(TestWire& wire, Random& r) {
  constexpr uint64_t kRates[] = {1, 5, 40, 200};
  wire.config.rate =
      r.one_in(3) ? Rate::infinite() : Rate::bits_per_second(kRates[r.below(4)] * 1'000'000);
  wire.config.delay = Duration(r.between(1, 40) * 1'000'000);
  wire.config.queue =
      r.one_in(2) ? Bytes::max() : Bytes(static_cast<int64_t>(r.between(3000, 100'000)));
  if (r.one_in(2)) wire.config.loss = r.uniform() * 0.05;
  if (r.one_in(2)) wire.config.duplicate = r.uniform() * 0.05;
  if (r.one_in(2)) wire.config.corrupt = r.uniform() * 0.02;
  if (r.one_in(2)) wire.config.reorder = r.uniform() * 0.1;
  wire.config.reorder_by = Duration(r.between(1, 20'000) * 1000);
}

void set_features(TestHost& host, Random& r) {
  Tunables& t = host.tcp.tunables();
  if (r.one_in(5)) t.sack_enable = 0;
  if (r.one_in(5)) t.rfc1323 = 0;
  if (r.one_in(3)) t.fast_send = 0;
  if (r.one_in(5)) t.delayed_ack = 0;
  if (r.one_in(3)) t.reass_maxqueuelen = static_cast<int64_t>(r.between(1, 5));
  if (r.one_in(3)) t.recvspace = static_cast<int64_t>(r.between(2000, 100'000));
  if (r.one_in(4)) t.recvbuf_auto = 0;
  if (r.one_in(3)) t.sendspace = static_cast<int64_t>(r.between(1000, 100'000));
  if (r.one_in(3)) t.ecn_enable = 1;
  if (r.one_in(4)) t.rfc6298 = 1;
  if (r.one_in(5)) t.split_limit = 3;
  t.loss_rule = static_cast<int64_t>(r.below(3));
  t.prr = static_cast<int64_t>(r.below(2));
  t.tlp_limit = static_cast<int64_t>(r.below(3));
  t.cc_algorithm = r.one_in(2) ? "newreno" : "cubic";
  host.ip.checksum_offload = !r.one_in(4);
  if (r.one_in(4)) host.ip.max_gso = static_cast<uint32_t>(r.between(1, 65535));
  if (r.one_in(4)) host.ip.mtu = static_cast<uint32_t>(r.between(1280, 9000));
  if (r.one_in(4)) t.fast_resend = 0;
}

// The rarer ones, for every second host.
void set_rare_features(TestHost& host, Random r) {
  if (r.one_in(2)) return;
  Tunables& t = host.tcp.tunables();
  t.do_prr = static_cast<int64_t>(r.below(2));
  t.rfc3042 = static_cast<int64_t>(r.below(2));
  t.rfc3465 = static_cast<int64_t>(r.below(2));
  t.initcwnd_segments = static_cast<int64_t>(r.below(30));
  t.rfc3390 = static_cast<int64_t>(r.below(2));
  t.cc_abe = static_cast<int64_t>(r.below(2));
  t.pmtud_blackhole_detection = static_cast<int64_t>(r.below(4));
  t.rack_hystart = static_cast<int64_t>(r.below(2));
  t.fast_finwait2_recycle = static_cast<int64_t>(r.below(2));
  t.keepintvl_ms = 10'000;  // FIN-WAIT-2 is to end while it is watched.
  t.nolocaltimewait = 1;
  t.tlp_minto_us = static_cast<int64_t>(r.between(1, 500'000));
}

// Options of one connection, each with a value that it takes.
void set_options(Connection& c, Random r) {
  constexpr struct {
    int option;
    uint64_t least, most;
  } kOptions[] = {{TCP_RACK_MIN_TO, 1, 200},
                  {TCP_RACK_REORD_THRESH, 1, 30},
                  {TCP_RACK_REORD_FADE, 0, 5000},
                  {TCP_RACK_TLP_THRESH, 1, 100},
                  {TCP_RACK_PKT_DELAY, 0, 500},
                  {TCP_BBR_RACK_INIT_RATE, 0, 10'000},
                  {TCP_NO_PRR, 0, 1},
                  {TCP_RACK_ABC_VAL, 1, 255},
                  {TCP_RACK_TIMER_SLOP, 0, 500'000},
                  {TCP_RACK_DSACK_OPT, 0, 3},
                  {TCP_RACK_ENABLE_HYSTART, 0, 1},
                  {TCP_RACK_HI_BETA, 50, 100},
                  {TCP_RACK_PACE_ALWAYS, 0, 1},
                  {TCP_RACK_PACE_TO_FILL, 0, 1}};
  for (const auto& o : kOptions) {
    if (!r.one_in(3)) continue;
    std::array<uint8_t, sizeof(uint64_t)> bytes{};
    const size_t size = write_pacing_option(o.option, r.between(o.least, o.most), bytes);
    (void)c.set_option(o.option, std::span(bytes).first(size));  // A fixed pace excludes a chosen.
  }
}

Rate maybe_pace(Random& r) {
  return r.one_in(2) ? Rate::infinite() : Rate::bits_per_second(r.between(500, 50'000) * 1000);
}

// Runs event by event, with every invariant checked after each, until `done` or the deadline.
template <class Done>
bool run_checked(TestWorld& w, Duration most, Done done) {
  const Instant deadline = w.loop.now() + most;
  uint64_t n = 0;
  while (!done()) {
    if (w.loop.next_deadline() > deadline) return false;
    w.loop.step();
    // Every event while it is young, then now and then: the checks walk the whole sendmap.
    if (++n < 3000 || n % 16 == 0) w.check();
  }
  w.check();
  return true;
}

void trace(TestWorld& w) {
  const auto print = [](const char* way) {
    return [way](Instant t, const net::Packet&, const net::TcpView& v) {
      const double at = to_seconds(t - VirtualLoop::kEpoch);
      fmt::print("{:11.6f} {} {}\n", at, way, net::to_string(v));
    };
  };
  w.up.tap = print("->");
  w.down.tap = print("<-");
}

void simulate(uint64_t seed) {
  SCOPED_TRACE(fmt::format("replay: WH_SEED={} ./x test tcp -k Simulation", seed));
  TestWorld w(seed, seed % 3 == 0 ? Instant(4294s) : VirtualLoop::kEpoch);
  if (std::getenv("WH_TRACE") != nullptr) trace(w);
  Random r = w.random.fork("plan");
  set_faults(w.up, r);
  set_faults(w.down, r);
  set_features(w.client, r);
  set_features(w.server, r);
  set_rare_features(w.client, r.fork("client"));
  set_rare_features(w.server, r.fork("server"));
  Plan plan;
  plan.family = r.one_in(3) ? net::Family::V6 : net::Family::V4;
  plan.up_bytes = r.below(300'000);
  plan.down_bytes = r.below(300'000);
  plan.pace_up = maybe_pace(r);
  plan.pace_down = maybe_pace(r);

  TestApp one, two;
  w.listener = &w.listen(plan.family);
  w.a = &w.connect(plan.family);
  w.a->set_pace_rate(plan.pace_up);
  set_options(*w.a, r.fork("up"));
  one.attach(*w.a, plan.up_bytes, true);
  const bool accepted = run_checked(w, 70s, [&] { return w.listener->waiting() > 0; });
  ASSERT_TRUE(accepted) << to_string(w.a->state()) << " " << to_string(w.a->end());
  w.b = w.listener->accept();
  w.b->set_pace_rate(plan.pace_down);
  set_options(*w.b, r.fork("down"));
  two.attach(*w.b, plan.down_bytes, true);
  const bool done = run_checked(w, 3000s, [&] {
    return (one.saw_end && two.saw_end) || one.ended != End::None || two.ended != End::None;
  });
  const auto where = [&] {
    return fmt::format("{} of {} and {} of {} bytes; ends {}, {}\nclient: {}\nserver: {}",
                       two.received, plan.up_bytes, one.received, plan.down_bytes,
                       to_string(one.ended), to_string(two.ended), to_string(w.a->info()),
                       to_string(w.b->info()));
  };
  EXPECT_TRUE(done) << where();
  EXPECT_TRUE(one.intact && two.intact) << where();
  EXPECT_EQ(two.received, plan.up_bytes) << where();
  EXPECT_EQ(one.received, plan.down_bytes) << where();
  w.a->close();
  w.b->close();
  run_checked(w, 400s,
              [&] { return w.client.tcp.connections() + w.server.tcp.connections() == 0; });
  EXPECT_EQ(w.client.tcp.connections() + w.server.tcp.connections(), 0u);
}

TEST(Simulation, delivers_every_byte_stream_intact_whatever_the_wires_do) {
  if (const char* one = std::getenv("WH_SEED")) return simulate(std::strtoull(one, nullptr, 10));
  const char* many = std::getenv("WH_SEEDS");
  const uint64_t seeds = many != nullptr ? std::strtoull(many, nullptr, 10) : 40;
  for (uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) simulate(seed);
}

TEST(Simulation, repeats_itself_byte_for_byte) {
  const auto run = [] {
    TestWorld w(11);
    w.up.config.loss = w.down.config.loss = 0.02;
    w.up.config.reorder = 0.05;
    std::string log;
    w.up.tap = [&](Instant t, const net::Packet& p, const net::TcpView& v) {
      log += fmt::format("{} {} {}\n", t.time_since_epoch().count(), p.size(), net::to_string(v));
    };
    TestApp one, two;
    w.listener = &w.listen();
    w.a = &w.connect();
    one.attach(*w.a, 200'000, true);
    w.run(10s);
    w.b = w.listener->accept();
    two.attach(*w.b, 0, true);
    w.run(60s);
    return log;
  };
  const std::string first = run();
  EXPECT_GT(first.size(), 10'000u);
  EXPECT_EQ(first, run());
}

}  // namespace
}  // namespace wh::tcp
