// Transmission, topic by topic, by conversation: windows, Nagle, timers, loss recovery, pacing,
// options.
#include <gtest/gtest.h>

#include "tcp/conversation.h"

namespace wh::tcp {
namespace {

using In = Conversation::In;
const net::TcpOptions kWithSack = {.mss = 1460, .sack_permitted = true};

// A connection that has sent `n` full segments at once and nothing else; its peer supports SACK.
void send_segments(Conversation& t, uint32_t n) {
  t.open(kWithSack);
  t.write(1460 * size_t{n});
  ASSERT_EQ(t.sent.size(), n);
  t.sent.clear();
}
uint32_t edge(uint32_t segments) {
  return 1 + 1460 * segments;
}

// --- Nagle, cork, silly windows ---

TEST(Nagle, holds_a_small_segment_while_one_is_outstanding) {
  Conversation t;
  t.open();
  t.write(10);
  EXPECT_EQ(t.take().length, 10u);
  t.write(20);
  t.write(30);
  EXPECT_TRUE(t.sent.empty());
  t.in({.ack = 11});
  EXPECT_EQ(t.take().length, 50u);
}

TEST(Nagle, is_off_with_nodelay) {
  Conversation t;
  t.open();
  t.c->set_nodelay(true);
  t.write(10);
  t.write(20);
  EXPECT_EQ(t.sent.size(), 2u);
}

TEST(Cork, sends_full_segments_only_until_it_is_pulled) {
  Conversation t;
  t.open();
  t.c->set_cork(true);
  t.write(2000);
  ASSERT_EQ(t.sent.size(), 1u);
  EXPECT_EQ(t.take().length, 1460u);
  t.in({.ack = 1461});
  EXPECT_TRUE(t.sent.empty());
  t.c->set_cork(false);
  EXPECT_EQ(t.take().length, 540u);
}

TEST(Window, never_shrinks_and_reopens_when_the_application_reads) {
  Conversation t;
  t.open();
  t.c->set_receive_buffer(Bytes(10'000));
  uint32_t right = 0;
  for (uint32_t i = 0; i < 45; ++i) {
    t.in({.seq = edge(i), .length = 1460});
    while (!t.sent.empty()) {
      const auto out = t.take();
      EXPECT_GE(out.ack + out.window, right);
      right = out.ack + out.window;
    }
  }
  EXPECT_LE(t.c->readable(), 65'535u);
  t.run(100ms);
  t.sent.clear();
  t.c->discard(100'000);
  ASSERT_EQ(t.sent.size(), 1u);  // The update.
  EXPECT_EQ(t.take().window, 10'000u);
}

TEST(Window, small_ones_are_not_used_until_the_timer_insists) {
  Conversation t;
  t.open();
  t.in({.length = 1});
  t.run(50ms);
  t.sent.clear();
  t.in({.seq = 2, .window = 1000});
  t.write(5000);
  EXPECT_TRUE(t.sent.empty());
  t.run(3s);
  ASSERT_FALSE(t.sent.empty());
  EXPECT_EQ(t.take().length, 1000u);
}

// --- persist and keepalive ---

TEST(Persist, probes_a_closed_window_at_growing_intervals_E80) {
  Conversation t;
  t.open(kWithSack);
  t.in({.length = 1});
  t.run(50ms);
  t.sent.clear();
  t.in({.seq = 2, .window = 0});  // One sample of 100 ms so far: srtt 100, variance 50.
  const Instant start = t.loop.now();
  t.write(100);
  EXPECT_TRUE(t.sent.empty());
  t.run(9s);
  const Duration gaps[] = {500ms, 800ms, 1400ms, 2s, 2s};
  Instant last = start;
  ASSERT_GE(t.sent.size(), 5u);
  for (const Duration gap : gaps) {
    const auto probe = t.take();
    EXPECT_EQ(probe.seq, 0u);
    EXPECT_EQ(probe.length, 0u);
    EXPECT_NEAR(to_ms(probe.when - last), to_ms(gap), 0.6);
    last = probe.when;
  }
  t.sent.clear();
  t.in({.seq = 2, .window = 1000});
  EXPECT_EQ(t.take().length, 100u);
}

TEST(Keepalive, probes_after_two_hours_and_gives_up_after_eight) {
  Conversation t;
  t.open();
  t.run(7199s);
  EXPECT_TRUE(t.sent.empty());
  t.run(2s);
  ASSERT_EQ(t.sent.size(), 1u);
  EXPECT_EQ(t.take().seq, 0u);
  t.in({});  // It is alive.
  t.run(7190s);
  EXPECT_TRUE(t.sent.empty());
  t.run(10s + 8 * 75s + 2s);
  EXPECT_EQ(t.c->state(), State::Closed);
  EXPECT_EQ(t.c->end(), End::TimedOut);
  EXPECT_EQ(t.sent.size(), 9u);  // Eight probes and a reset.
}

// --- retransmission timeout ---

TEST(Timeout, repeats_the_first_segment_and_backs_off) {
  Conversation t;
  t.open();
  t.write(1000);
  t.sent.clear();
  t.run(20s);
  const double expected[] = {500, 800, 1400, 2600, 4000, 4000};  // E-79.
  Instant last = VirtualLoop::kEpoch + t.rtt;
  for (const double gap : expected) {
    const auto out = t.take();
    EXPECT_EQ(out.seq, 1u);
    EXPECT_NEAR(to_ms(out.when - last), gap, 1.5);
    last = out.when;
  }
  EXPECT_EQ(t.c->congestion().cwnd, t.c->congestion().mss);
  EXPECT_EQ(t.c->info().recovery, Recovery::Loss);
}

TEST(Timeout, gives_up_after_twelve) {
  Conversation t;
  t.open();
  t.write(1000);
  t.run(120s);
  EXPECT_EQ(t.c->end(), End::TimedOut);
  EXPECT_EQ(t.c->info().timeouts, 13u);
}

TEST(Timeout, is_undone_when_the_original_is_acknowledged) {
  Conversation t;
  t.open({.mss = 1460, .timestamps = net::TcpTimestamps{100, 0}});
  t.write(1448 * 4);
  const auto first = t.take();
  const Bytes cwnd = t.c->congestion().cwnd;
  t.run(600ms);
  ASSERT_EQ(t.c->info().recovery, Recovery::Loss);
  net::TcpOptions old;
  old.timestamps = net::TcpTimestamps{200, first.options.timestamps->value};
  t.in({.ack = 1449, .options = old});
  EXPECT_EQ(t.counters().spurious_timeouts, 1u);
  EXPECT_GE(t.c->congestion().cwnd, cwnd);
  EXPECT_EQ(t.c->info().lost, Bytes(0));
}

// --- fast retransmit ---

TEST(FastRetransmit, repairs_a_hole_that_sacks_show) {
  Conversation t;
  send_segments(t, 10);
  t.run(100ms);
  t.in({.ack = edge(0), .options = t.sack({{edge(1), edge(10)}})});
  t.run(30ms);  // A quarter of the round trip more.
  ASSERT_FALSE(t.sent.empty());
  const auto out = t.take();
  EXPECT_EQ(out.seq, 1u);
  EXPECT_EQ(out.length, 1460u);
  EXPECT_EQ(t.c->info().recovery, Recovery::Recovery);
  EXPECT_EQ(t.c->congestion().ssthresh, Bytes(1460 * 5));
  EXPECT_EQ(t.counters().fto_rsm_send, 1u);
  t.in({.ack = edge(10)});
  EXPECT_EQ(t.c->info().recovery, Recovery::Open);
  EXPECT_EQ(t.c->congestion().cwnd, Bytes(1460 * 5));
  EXPECT_EQ(t.counters().timeouts, 0u);
}

TEST(FastRetransmit, needs_three_duplicates_without_sack_and_goes_on_with_partial_ones) {
  Conversation t;
  t.open();
  t.write(14'600);
  t.sent.clear();
  t.run(50ms);
  t.in({.ack = edge(1)});
  for (int i = 0; i < 2; ++i) t.in({.ack = edge(1)});
  t.sent.clear();
  EXPECT_EQ(t.c->info().recovery, Recovery::Open);
  t.in({.ack = edge(1)});
  EXPECT_EQ(t.c->info().recovery, Recovery::Recovery);
  EXPECT_EQ(t.take().seq, edge(1));
  t.in({.ack = edge(4)});  // Partial: the next hole.
  ASSERT_FALSE(t.sent.empty());
  EXPECT_EQ(t.take().seq, edge(4));
  t.in({.ack = edge(10)});
  EXPECT_EQ(t.c->info().recovery, Recovery::Open);
}

TEST(FastRetransmit, is_undone_when_all_of_it_was_duplicate) {
  Conversation t;
  send_segments(t, 10);
  const Bytes cwnd = t.c->congestion().cwnd;
  t.run(100ms);
  t.in({.ack = edge(0), .options = t.sack({{edge(1), edge(9)}})});
  t.run(30ms);
  ASSERT_EQ(t.c->info().recovery, Recovery::Recovery);
  t.in({.ack = edge(9), .options = t.sack({{edge(0), edge(1)}})});
  EXPECT_EQ(t.counters().false_recoveries, 1u);
  EXPECT_GE(t.c->congestion().cwnd, cwnd);
}

TEST(TailLossProbe, repeats_the_last_segment_and_its_loss_counts_once) {
  Conversation t;
  t.open(kWithSack);
  t.write(1460);
  t.run(100ms);
  t.in({.ack = edge(1)});
  t.write(2920);
  t.sent.clear();
  t.run(210ms);  // Twice the round trip; the timeout would be later.
  ASSERT_EQ(t.sent.size(), 1u);
  EXPECT_EQ(t.take().seq, edge(2));
  EXPECT_EQ(t.counters().tlp_probes, 1u);
  EXPECT_EQ(t.counters().timeouts, 0u);
  t.in({.ack = edge(3)});
  t.write(100);
  t.in({.ack = edge(3) + 100});
  EXPECT_EQ(t.counters().tlp_losses, 1u);
}

TEST(Reneging, is_noticed_and_repaired) {
  Conversation t;
  send_segments(t, 4);
  t.in({.ack = edge(0), .options = t.sack({{edge(1), edge(2)}})});
  EXPECT_EQ(t.c->info().sacked, Bytes(1460));
  t.in({.ack = edge(1)});
  EXPECT_EQ(t.counters().reneges, 1u);
  EXPECT_EQ(t.c->info().sacked, Bytes(0));
}

// --- SACK and DSACK, as receiver ---

TEST(Sack, reports_islands_the_latest_first_and_nothing_when_there_are_none) {
  Conversation t;
  t.open(kWithSack);
  t.in({.seq = edge(1), .length = 1460});
  auto out = t.take();
  EXPECT_EQ(out.ack, 1u);
  ASSERT_EQ(out.options.sack_count, 1);
  EXPECT_EQ((out.options.sack[0].end - out.options.sack[0].begin).count(), 1460u);
  t.in({.seq = edge(3), .length = 1460});
  out = t.take();
  ASSERT_EQ(out.options.sack_count, 2);
  EXPECT_EQ(out.options.sack[0].begin, SeqNum(Conversation::kPeerIss + edge(3)));
  t.in({.seq = edge(0), .length = 1460});
  EXPECT_EQ(t.take().options.sack_count, 1);
  t.in({.seq = edge(2), .length = 1460});
  EXPECT_EQ(t.take().options.sack_count, 0);
  EXPECT_EQ(t.c->readable(), 4u * 1460);
}

TEST(Dsack, reports_what_came_twice_once) {
  Conversation t;
  t.open(kWithSack);
  t.in({.length = 1460});
  t.in({.length = 1460});
  const auto out = t.take();
  ASSERT_EQ(out.options.sack_count, 1);
  EXPECT_EQ(out.options.sack[0].begin, SeqNum(Conversation::kPeerIss + 1));
  EXPECT_EQ(t.counters().dsacks_out, 1u);
  t.in({.seq = edge(1), .length = 1460});
  t.in({.seq = edge(2), .length = 1460});
  EXPECT_EQ(t.take().options.sack_count, 0);
}

// --- timestamps ---

TEST(Paws, drops_an_old_segment_and_acknowledges) {
  Conversation t;
  t.open({.mss = 1460, .timestamps = net::TcpTimestamps{1000, 0}});
  net::TcpOptions o;
  o.timestamps = net::TcpTimestamps{999, 0};
  t.in({.length = 10, .options = o});
  EXPECT_EQ(t.counters().paws_drops, 1u);
  EXPECT_EQ(t.c->readable(), 0u);
  EXPECT_EQ(t.take().ack, 1u);
  t.in({.length = 10});
  EXPECT_EQ(t.counters().missing_timestamp, 1u);
  o.timestamps->value = 1002;
  t.in({.length = 10, .options = o});
  EXPECT_EQ(t.c->readable(), 10u);
}

TEST(Timestamps, echo_the_segment_that_moved_the_acknowledgment) {
  Conversation t;
  t.open({.mss = 1460, .sack_permitted = true, .timestamps = net::TcpTimestamps{1000, 0}});
  net::TcpOptions o;
  o.timestamps = net::TcpTimestamps{2000, 0};
  t.in({.seq = 100,
        .length = 10,
        .options = o});  // Behind a hole: not echoed (RFC 7323 section 4.3).
  EXPECT_EQ(t.take().options.timestamps->echo, 1001u);
}

// --- ECN ---

TEST(Ecn, marks_new_data_echoes_marks_and_reacts_once_a_window) {
  Conversation t;
  t.open(kWithSack, net::kTcpEce | net::kTcpCwr);
  EXPECT_TRUE(t.syn_ack.flags.has(net::kTcpEce));
  t.in({.length = 10, .ecn = 3});
  EXPECT_TRUE(t.take().flags.has(net::kTcpEce));
  t.in({.flags = net::kTcpAck | net::kTcpCwr, .seq = 11, .length = 10});
  t.in({.seq = 21, .length = 10});
  EXPECT_FALSE(t.take().flags.has(net::kTcpEce));
  t.write(1460 * 10);
  EXPECT_EQ(t.sent.front().tos & 3, 2);
  t.sent.clear();
  t.in({.flags = net::kTcpAck | net::kTcpEce, .seq = 31, .ack = edge(1)});
  EXPECT_EQ(t.counters().ecn_reductions, 1u);
  EXPECT_EQ(t.c->congestion().cwnd, t.c->congestion().ssthresh);
  t.in({.flags = net::kTcpAck | net::kTcpEce, .seq = 31, .ack = edge(2)});
  EXPECT_EQ(t.counters().ecn_reductions, 1u);
}

// --- path MTU ---

TEST(PathMtu, sends_smaller_segments_when_told_and_ignores_what_quotes_nothing_outstanding) {
  Conversation t;
  t.open(kWithSack);
  t.write(2920);
  const auto first = t.take();
  t.sent.clear();
  net::IpError e{};
  e.kind = net::IpError::Kind::PacketTooBig;
  e.mtu = 1000;
  e.source = Conversation::us();
  e.destination = Conversation::peer();
  uint8_t quote[8];
  net::store16(quote, Conversation::kOurPort);
  net::store16(quote + 2, Conversation::kPeerPort);
  const uint32_t iss = t.c->sendmap()[0].start.value() - first.seq;
  net::store32(quote + 4, iss + 90'000);
  e.transport = quote;
  t.host.tcp.error(e);
  EXPECT_EQ(t.counters().icmp_ignored, 1u);
  net::store32(quote + 4, iss + 1);
  t.host.tcp.error(e);
  EXPECT_EQ(t.c->info().mss, Bytes(960));
  ASSERT_FALSE(t.sent.empty());
  EXPECT_EQ(t.take().length, 960u);
}

// --- pacing ---

TEST(Pacing, nothing_leaves_while_a_delay_runs_E32) {
  Conversation t;
  t.open(kWithSack);
  t.c->set_pace_rate(4_Mbps);  // Two segments each 6 ms.
  t.write(1460 * 20);
  ASSERT_EQ(t.sent.size(), 2u);
  const Instant first = t.take().when;
  t.sent.clear();
  const uint64_t before = t.counters().inpace;
  for (uint32_t i = 0; i < 20; ++i) t.in({.seq = 1 + 10 * i, .ack = edge(1), .length = 10});
  EXPECT_TRUE(t.sent.empty());  // Not even the acknowledgments that are owed.
  EXPECT_EQ(t.counters().inpace, before + 20);
  t.run(7ms);
  ASSERT_EQ(t.sent.size(), 2u);
  EXPECT_EQ(t.sent[0].ack, 201u);
  EXPECT_NEAR(to_ms(t.sent[0].when - first), 2 * 1514 * 8 / 4e3, 0.27);
}

TEST(Pacing, takes_the_fast_path_for_what_a_burst_left_over_E85) {
  Conversation t;
  t.open(kWithSack);
  t.c->burst_limits() = {.user_max = 4, .user_min = 4};
  t.c->set_pace_rate(4_Mbps);
  t.write(1460 * 10);
  t.run(100ms);
  ASSERT_EQ(t.sent.size(), 10u);
  EXPECT_EQ(t.counters().nfto_send, 1u);
  EXPECT_EQ(t.counters().fto_send, 2u);
  EXPECT_EQ(t.sent[3].when, t.sent[0].when);
  EXPECT_GT(t.sent[4].when, t.sent[3].when);
  EXPECT_EQ(t.sent[8].when, t.sent[9].when);
}

TEST(Pacing, repairs_a_loss_before_it_goes_on_with_new_data_E86) {
  Conversation t;
  t.open(kWithSack);
  t.c->set_pace_rate(8_Mbps);
  t.run(50ms);
  t.write(1460 * 10);
  t.run(5ms);
  const uint32_t out = static_cast<uint32_t>(t.c->info().outstanding.count() / 1460);
  ASSERT_GE(out, 3u);
  t.in({.ack = 1, .options = t.sack({{edge(1), edge(out)}})});
  t.sent.clear();
  t.run(20ms);
  ASSERT_FALSE(t.sent.empty());
  EXPECT_EQ(t.c->info().recovery, Recovery::Recovery);
  const auto repaired =
      std::find_if(t.sent.begin(), t.sent.end(), [](const auto& o) { return o.seq == 1; });
  ASSERT_NE(repaired, t.sent.end());
}

TEST(Pacing, holds_its_rate_whatever_the_calls_lateness_E33) {
  TestWorld w;
  TestApp one, two;
  w.up.config.delay = w.down.config.delay = 5ms;
  w.establish();
  w.a->set_pace_rate(8_Mbps);
  one.attach(*w.a, 1'000'000'000, false);
  two.attach(*w.b, 0, false);
  w.run(1s);
  const uint64_t before = w.up.bytes;
  w.run(10s);
  EXPECT_NEAR(static_cast<double>(w.up.bytes - before), 10e6,
              10e3);  // The wheel is up to 250 us late.
  EXPECT_EQ(w.a->info().retransmitted, Bytes(0));
}

TEST(Pacing, counts_ipv6_frames_too_E34) {
  TestWorld w;
  TestApp one, two;
  w.establish(net::Family::V6);
  w.a->set_pace_rate(100_Mbps);
  one.attach(*w.a, 1'000'000'000, false);
  two.attach(*w.b, 0, false);
  w.run(1s);
  const uint64_t before = w.up.bytes;
  w.run(4s);
  EXPECT_NEAR(static_cast<double>(w.up.bytes - before), 50e6, 56e3);  // One burst.
}

}  // namespace
}  // namespace wh::tcp
