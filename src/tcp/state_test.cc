// What a segment of each kind does in each state (RFC 9293 section 3.10.7, RFC 5961), by
// conversation.
#include <gtest/gtest.h>

#include "tcp/conversation.h"

namespace wh::tcp {
namespace {

constexpr TcpFlags kAck = net::kTcpAck, kSyn = net::kTcpSyn, kFin = net::kTcpFin,
                   kRst = net::kTcpRst;
using In = Conversation::In;

// --- closed ---

TEST(Closed, answers_an_ack_with_a_reset_of_its_number) {
  Conversation t;
  t.in({.ack = 777});
  ASSERT_EQ(t.sent.size(), 1u);
  EXPECT_EQ(t.sent[0].flags, kRst);
  EXPECT_EQ(t.sent[0].seq, 777u);
}

TEST(Closed, answers_a_syn_with_a_reset_that_acknowledges_it) {
  Conversation t;
  t.in({.flags = kSyn, .seq = 0});
  ASSERT_EQ(t.sent.size(), 1u);
  EXPECT_EQ(t.sent[0].flags, kRst | kAck);
  EXPECT_EQ(t.sent[0].ack, 1u);
}

TEST(Closed, does_not_answer_a_reset) {
  Conversation t;
  t.in({.flags = kRst});
  EXPECT_TRUE(t.sent.empty());
}

// --- listen ---

TEST(Listen, ignores_a_reset_and_refuses_a_stray_ack) {
  Conversation t;
  t.listen();
  t.in({.flags = kRst});
  EXPECT_TRUE(t.sent.empty());
  t.in({.ack = 5});
  EXPECT_EQ(t.take().flags, kRst);
}

TEST(Listen, answers_a_full_backlog_with_cookies_and_makes_connections_of_them) {
  Conversation t;
  Listener::Config config;
  config.local.port = Conversation::kOurPort;
  config.backlog = 0;
  t.listener = MUST(t.host.tcp.listen(std::move(config)));
  t.in({.flags = kSyn, .seq = 0, .options = {.mss = 1460}});
  ASSERT_EQ(t.sent.size(), 1u);
  EXPECT_EQ(t.take().flags, kSyn | kAck);
  EXPECT_EQ(t.host.tcp.connections(), 0u);
  EXPECT_EQ(t.counters().cookies_sent, 1u);
  t.in({.ack = 1});  // The queue has no room: nothing, and no reset.
  EXPECT_EQ(t.counters().accept_overflows, 1u);
  EXPECT_TRUE(t.sent.empty());
  t.in({.ack = 2});
  EXPECT_EQ(t.counters().cookies_refused, 1u);
}

TEST(Listen, drops_syns_to_a_full_backlog_without_cookies) {
  Conversation t;
  t.tunables().syncookies = 0;
  Listener::Config config;
  config.local.port = Conversation::kOurPort;
  config.backlog = 0;
  t.listener = MUST(t.host.tcp.listen(std::move(config)));
  t.in({.flags = kSyn, .seq = 0});
  EXPECT_TRUE(t.sent.empty());
  EXPECT_EQ(t.counters().listen_overflows, 1u);
}

// --- syn-sent ---

TEST(SynSent, resets_an_unacceptable_ack_and_stays) {
  Conversation t;
  t.connect();
  t.in({.flags = kSyn | kAck, .seq = 0, .ack = 9});
  const auto out = t.take();
  EXPECT_EQ(out.flags, kRst);
  EXPECT_EQ(out.seq, 9u);
  EXPECT_EQ(t.c->state(), State::SynSent);
}

TEST(SynSent, is_refused_by_a_reset_that_acknowledges_its_syn_only) {
  Conversation t;
  t.connect();
  t.in({.flags = kRst | kAck, .seq = 0, .ack = 0});
  EXPECT_EQ(t.c->state(), State::SynSent);
  t.in({.flags = kRst, .seq = 0});
  EXPECT_EQ(t.c->state(), State::SynSent);
  t.in({.flags = kRst | kAck, .seq = 0, .ack = 1});
  EXPECT_EQ(t.c->state(), State::Closed);
  EXPECT_EQ(t.c->end(), End::Refused);
}

TEST(SynSent, gives_up_after_keepinit) {
  Conversation t;
  t.connect();
  t.run(74'999ms);
  EXPECT_EQ(t.c->state(), State::SynSent);
  t.run(2ms);
  EXPECT_EQ(t.c->end(), End::TimedOut);
}

// --- syn-received ---

TEST(SynReceived, repeats_its_answer_to_a_repeated_syn) {
  Conversation t;
  t.listen();
  t.in({.flags = kSyn, .seq = 0, .options = {.mss = 1000}});
  t.take();
  t.in({.flags = kSyn, .seq = 0, .options = {.mss = 1000}});
  ASSERT_EQ(t.sent.size(), 1u);
  EXPECT_EQ(t.take().flags, kSyn | kAck);
}

TEST(SynReceived, resets_a_wrong_ack) {
  Conversation t;
  t.listen();
  t.in({.flags = kSyn, .seq = 0});
  t.take();
  t.in({.ack = 5});
  EXPECT_EQ(t.take().flags, kRst);
  EXPECT_EQ(t.listener->half_open(), 1u);
}

TEST(SynReceived, is_forgotten_after_a_reset) {
  Conversation t;
  t.listen();
  t.in({.flags = kSyn, .seq = 0});
  t.in({.flags = kRst, .seq = 1});
  EXPECT_EQ(t.listener->half_open(), 0u);
  EXPECT_EQ(t.host.tcp.connections(), 0u);
}

// --- established ---

TEST(Established, takes_data_and_delays_its_acknowledgment_E95) {
  Conversation t;
  t.open();
  const Instant start = t.loop.now();
  t.in({.length = 100});
  EXPECT_TRUE(t.sent.empty());
  t.run(39ms);
  EXPECT_TRUE(t.sent.empty());
  t.run(2ms);
  ASSERT_EQ(t.sent.size(), 1u);
  EXPECT_EQ(t.sent[0].ack, 101u);
  EXPECT_NEAR(to_ms(t.take().when - start), 40, 0.3);
  t.in({.seq = 101, .length = 100});
  t.in({.seq = 201, .length = 100});
  ASSERT_EQ(t.sent.size(), 1u);
  EXPECT_EQ(t.take().ack, 301u);
}

TEST(Established, is_reset_only_by_the_exact_number) {
  Conversation t;
  t.open();
  t.in({.flags = kRst, .seq = 70'000});
  EXPECT_EQ(t.counters().unacceptable_rst, 1u);
  EXPECT_TRUE(t.sent.empty());
  t.in({.flags = kRst, .seq = 100});
  EXPECT_EQ(t.take().flags, kAck);  // A challenge.
  EXPECT_EQ(t.c->state(), State::Established);
  t.in({.flags = kRst, .seq = 1});
  EXPECT_EQ(t.c->state(), State::Closed);
  EXPECT_EQ(t.c->end(), End::Reset);
}

TEST(Established, challenges_a_syn) {
  Conversation t;
  t.open();
  for (const uint32_t seq : {0u, 1u, 500u}) {
    t.in({.flags = kSyn, .seq = seq});
    EXPECT_EQ(t.take().ack, 1u);
  }
  EXPECT_EQ(t.counters().challenge_acks, 3u);
  EXPECT_EQ(t.c->state(), State::Established);
}

TEST(Established, limits_its_challenges) {
  Conversation t;
  t.open();
  t.tunables().ack_war_cnt = 2;
  for (int i = 0; i < 5; ++i) t.in({.flags = kSyn, .seq = 1});
  EXPECT_EQ(t.sent.size(), 2u);
  EXPECT_EQ(t.counters().challenge_acks_limited, 3u);
  t.run(999ms);
  t.in({.flags = kSyn, .seq = 1});
  EXPECT_EQ(t.sent.size(), 2u);
  t.run(1ms);
  t.in({.flags = kSyn, .seq = 1});
  EXPECT_EQ(t.sent.size(), 3u);
}

// Two ends to both of which a stranger has sent would answer one another without end.
TEST(Established, limits_its_answers_to_segments_out_of_place) {
  Conversation t;
  t.open();
  t.in({.length = 100});
  t.run(1s);
  t.sent.clear();
  for (const uint32_t seq : {50u, 200'000u}) {
    for (int i = 0; i < 20; ++i) t.in({.seq = seq});
    EXPECT_EQ(t.sent.size(), 5u) << seq;
    t.run(1s);
    t.sent.clear();
  }
  for (int i = 0; i < 20; ++i) t.in({.seq = 50, .length = 10});
  EXPECT_EQ(t.sent.size(), 6u);  // One was earned by what was new.
}

TEST(Established, answers_acknowledgments_of_the_future_and_of_the_far_past) {
  Conversation t;
  t.open();
  t.in({.ack = 2});
  EXPECT_EQ(t.take().ack, 1u);
  t.in({.ack = 1u - 70'000u, .length = 10});
  EXPECT_EQ(t.counters().bad_ack, 2u);
  EXPECT_EQ(t.c->readable(), 0u);
}

TEST(Established, drops_a_segment_without_ack) {
  Conversation t;
  t.open();
  t.in({.flags = {}, .length = 10});
  EXPECT_EQ(t.counters().bad_flags, 1u);
  EXPECT_EQ(t.c->readable(), 0u);
}

TEST(Established, keeps_what_lies_in_the_window_of_overlapping_segments) {
  Conversation t;
  t.open();
  t.in({.length = 100});
  t.in({.seq = 51, .length = 100});
  EXPECT_EQ(t.take().ack, 151u);
  t.in({.seq = 65'000, .length = 2000});  // Beyond the right edge in part.
  EXPECT_GT(t.counters().trimmed_bytes, 0u);
  t.in({.seq = 200'000, .length = 10});
  EXPECT_EQ(t.counters().out_of_window, 1u);
  std::vector<uint8_t> got(200);
  ASSERT_EQ(t.c->recv(got), 150u);
  got.resize(150);
  EXPECT_EQ(got, pattern(0, 150));
}

TEST(Established, remembers_a_fin_that_comes_before_the_data) {
  Conversation t;
  t.open();
  t.in({.flags = kFin | kAck, .seq = 101});
  EXPECT_EQ(t.take().ack, 1u);
  EXPECT_FALSE(t.c->at_end());
  t.in({.length = 100});
  EXPECT_EQ(t.take().ack, 102u);
  EXPECT_EQ(t.c->state(), State::CloseWait);
}

// --- closing ---

TEST(Closing, goes_through_fin_wait_to_time_wait_and_answers_a_repeated_fin) {
  Conversation t;
  t.open();
  t.c->shutdown_send();
  EXPECT_EQ(t.take().flags, kFin | kAck);
  EXPECT_EQ(t.c->state(), State::FinWait1);
  t.in({.ack = 2});
  EXPECT_EQ(t.c->state(), State::FinWait2);
  t.in({.ack = 2, .length = 10});  // Half-closed: data still comes.
  EXPECT_EQ(t.c->readable(), 10u);
  t.in({.flags = kFin | kAck, .seq = 11, .ack = 2});
  EXPECT_EQ(t.c->state(), State::TimeWait);
  EXPECT_EQ(t.take().ack, 12u);
  t.run(30s);
  t.in({.flags = kFin | kAck, .seq = 11, .ack = 2});
  EXPECT_EQ(t.take().ack, 12u);
  t.run(59'990ms);
  EXPECT_EQ(t.c->state(), State::TimeWait);
  t.run(20ms);
  EXPECT_EQ(t.c->state(), State::Closed);
  EXPECT_EQ(t.c->end(), End::Normal);
}

TEST(Closing, crosses_fins) {
  Conversation t;
  t.open();
  t.c->shutdown_send();
  t.take();
  t.in({.flags = kFin | kAck});
  EXPECT_EQ(t.c->state(), State::Closing);
  t.in({.seq = 2, .ack = 2});
  EXPECT_EQ(t.c->state(), State::TimeWait);
}

TEST(Closing, goes_through_last_ack) {
  Conversation t;
  t.open();
  t.in({.flags = kFin | kAck});
  EXPECT_TRUE(t.c->at_end());
  t.sent.clear();
  t.write(10);
  t.c->shutdown_send();
  EXPECT_EQ(t.c->state(), State::LastAck);
  const auto data = t.take(), fin = t.take();
  EXPECT_EQ(data.length, 10u);
  EXPECT_EQ(fin.flags, kFin | kAck);
  t.in({.seq = 2, .ack = 12});
  EXPECT_EQ(t.c->state(), State::Closed);
  EXPECT_EQ(t.c->end(), End::Normal);
}

TEST(Closing, resets_a_peer_that_sends_to_a_closed_application) {
  Conversation t;
  t.open();
  t.c->close();
  t.in({.ack = 2});
  t.sent.clear();
  t.in({.ack = 2, .length = 10});
  EXPECT_TRUE(t.take().flags.has(kRst));
  EXPECT_EQ(t.host.tcp.connections(), 0u);
  EXPECT_EQ(t.counters().after_close, 1u);
}

TEST(Closing, gives_up_fin_wait_2_when_the_application_is_gone) {
  Conversation t;
  t.open();
  t.c->close();
  t.in({.ack = 2});
  t.run(59s);
  EXPECT_EQ(t.host.tcp.connections(), 1u);
  t.run(2s);
  EXPECT_EQ(t.host.tcp.connections(), 0u);
}

TEST(TimeWait, gives_way_to_a_new_connection) {
  Conversation t;
  t.open();
  t.c->shutdown_send();
  t.in({.flags = kFin | kAck, .ack = 2});
  ASSERT_EQ(t.c->state(), State::TimeWait);
  t.sent.clear();
  t.in({.flags = kSyn, .seq = 1000});
  EXPECT_EQ(t.c->state(), State::Closed);
  EXPECT_TRUE(t.take().flags.has(kSyn | kAck));
}

// RFC 9293 MAY-2: also where the old one sent faster than the clock of RFC 6528 ticks.
TEST(TimeWait, begins_the_new_connection_above_all_that_the_old_one_sent) {
  Conversation t;
  t.open();
  constexpr uint32_t kRound = 4 * 1460;
  for (uint32_t sent = 0; sent < 30 * kRound; sent += kRound) {
    t.write(kRound);
    t.in({.ack = 1 + sent + kRound});
  }
  t.c->shutdown_send();
  t.in({.flags = kFin | kAck, .ack = 30 * kRound + 2});
  ASSERT_EQ(t.c->state(), State::TimeWait);
  const SeqNum last = t.our_iss() + SeqLen(30 * kRound + 1);  // Its FIN.
  t.sent.clear();
  t.in({.flags = kSyn, .seq = 1000});
  ASSERT_TRUE(t.take().flags.has(kSyn | kAck));
  EXPECT_GT(t.our_iss(), last);
}

TEST(Abort, sends_a_reset) {
  Conversation t;
  t.open();
  t.c->abort();
  EXPECT_TRUE(t.take().flags.has(kRst));
  EXPECT_EQ(t.host.tcp.connections(), 0u);
}

}  // namespace
}  // namespace wh::tcp
