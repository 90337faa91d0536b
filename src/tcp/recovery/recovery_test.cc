// RACK, TLP, PRR and the retransmission timeout: the arithmetic, by hand-computed cases.
#include <gtest/gtest.h>

#include "tcp/recovery/prr.h"
#include "tcp/recovery/rack.h"

namespace wh::tcp {
namespace {

constexpr Instant kRecoveryStart = Instant(1000s);

RttEstimator estimator(Duration srtt) {
  RttEstimator e;
  e.sample(srtt, RtoProfile::rack());
  return e;
}

// E-70, E-71: a quarter round trip, more with each round of duplicate SACKs, at most twice the
// round trip.
TEST(Rack, threshold_is_a_quarter_more_than_the_round_trip_E70_E71) {
  Rack rack;
  rack.set_rtt(100ms);
  const RttEstimator rtt = estimator(100ms);
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, {}), Duration(125ms));
  rack.note_reordering(kRecoveryStart);
  const Duration expected[] = {150ms, 175ms, 200ms, 200ms};
  for (uint32_t i = 0; i < 4; ++i) {
    rack.on_dsack(SeqNum(i * 10), SeqNum(i * 10 + 10));
    EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, {}), expected[i]);
  }
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart + 60s, {}), Duration(200ms));
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart + 60s + 1ns, {}), Duration(125ms));  // It has faded.
}

TEST(Rack, threshold_with_the_packet_delay_E72) {
  Rack rack;
  rack.set_rtt(100ms);
  const Rack::Situation s{.rule = Rack::Rule::PacketDelay};
  EXPECT_EQ(rack.threshold(estimator(100ms), kRecoveryStart, s), Duration(101ms));
  rack.note_reordering(kRecoveryStart);
  EXPECT_EQ(rack.threshold(estimator(100ms), kRecoveryStart, s), Duration(126ms));
}

TEST(Rack, threshold_as_it_is_tuned) {
  Rack rack;
  rack.set_rtt(100ms);
  const RttEstimator rtt = estimator(100ms);
  Rack::Situation s{.rule = Rack::Rule::PacketDelay, .packet_delay = 7ms, .reorder_shift = 1};
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, s), Duration(107ms));
  rack.note_reordering(kRecoveryStart);
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, s), Duration(157ms));
  rack.on_dsack(SeqNum(0), SeqNum(10));
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, s), Duration(182ms));
  s.uses_dsack = false;
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, s), Duration(157ms));
  s.reorder_fade = 1s;
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart + 1s + 1ns, s), Duration(107ms));
  s.reorder_fade = 0s;  // Never.
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart + 3600s, s), Duration(157ms));
  s.rule = Rack::Rule::Rfc8985;
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, s), Duration(125ms));
}

TEST(Rack, threshold_of_the_rfc_E73) {
  Rack rack;
  rack.set_rtt(40ms);
  RttEstimator rtt = estimator(40ms);
  while (rtt.srtt() < 50ms) rtt.sample(60ms, RtoProfile::rack());
  Rack::Situation s{.rule = Rack::Rule::Rfc8985, .sacked = Bytes(2999), .mss = Bytes(1000)};
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, s), Duration(50ms));
  s.sacked = Bytes(3000);
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, s), Duration(40ms));
  rack.note_reordering(kRecoveryStart);
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, s), Duration(50ms));
  rack.on_dsack(SeqNum(0), SeqNum(10));
  rack.on_dsack(SeqNum(10), SeqNum(20));
  EXPECT_EQ(rack.threshold(rtt, kRecoveryStart, s), Duration(70ms));
}

TEST(Rack, counts_one_duplicate_sack_a_round_trip_and_forgets_after_sixteen_recoveries) {
  Rack rack;
  rack.on_dsack(SeqNum(0), SeqNum(100));
  rack.on_dsack(SeqNum(99), SeqNum(200));
  EXPECT_EQ(rack.dsack_rounds(), 1u);
  rack.on_dsack(SeqNum(100), SeqNum(200));
  EXPECT_EQ(rack.dsack_rounds(), 2u);
  for (int i = 0; i < 15; ++i) rack.on_recovery_end();
  EXPECT_EQ(rack.dsack_rounds(), 2u);
  rack.on_recovery_end();
  EXPECT_EQ(rack.dsack_rounds(), 0u);
}

TEST(Rack, gives_up_what_was_passed_and_is_old_enough) {
  SendEntryPool pool;
  SendBuffer buffer{Bytes(10'000)};
  buffer.append(std::vector<uint8_t>(3000));
  SendMap map(pool, buffer);
  for (uint32_t i = 0; i < 3; ++i) {
    map.append(SeqNum(i * 1000), 1000, buffer.advance(buffer.front(), i * 1000), 0,
               kRecoveryStart + i * 1ms, 0);
  }
  Rack rack;
  const RttEstimator rtt = estimator(100ms);
  const Instant sacked = kRecoveryStart + 102ms;
  EXPECT_FALSE(rack.has_suspect(map));
  rack.on_delivered(map[2], map[2].end, sacked, 100ms);
  EXPECT_TRUE(rack.has_suspect(map));  // By the rule of RFC 8985.
  map.mark_sacked(map[2], sacked);
  EXPECT_TRUE(rack.has_suspect(map));
  EXPECT_EQ(rack.rtt(), Duration(100ms));
  auto found = rack.detect(map, rtt, sacked, {});
  EXPECT_EQ(found.newly_lost, 0u);
  EXPECT_EQ(found.look_again, kRecoveryStart + 125ms);
  found = rack.detect(map, rtt, kRecoveryStart + 125ms, {});
  EXPECT_EQ(found.newly_lost, 1000u);
  EXPECT_EQ(found.look_again, kRecoveryStart + 126ms);
  EXPECT_TRUE(map[0].has(SendEntry::kLost));
  EXPECT_FALSE(map[1].has(SendEntry::kLost));
}

TEST(Rack, sees_reordering_when_an_original_arrives_behind_a_later_one) {
  SendEntry first, second;
  first.start = SeqNum(0), first.end = SeqNum(1000);
  second.start = SeqNum(1000), second.end = SeqNum(2000);
  first.transmissions = second.transmissions = 1;
  first.sent[0] = kRecoveryStart, second.sent[0] = kRecoveryStart + 1ms;
  Rack rack;
  rack.begin_ack();
  rack.on_delivered(second, second.end, kRecoveryStart + 50ms, 50ms);
  rack.begin_ack();
  EXPECT_FALSE(rack.has_reordering_been_seen());
  rack.on_delivered(first, first.end, kRecoveryStart + 51ms, 50ms);
  EXPECT_TRUE(rack.has_reordering_been_seen());
}

TEST(Rack, sees_no_reordering_within_one_acknowledgment) {
  SendEntry entries[3];
  for (uint32_t i = 0; i < 3; ++i) {
    entries[i].start = SeqNum(i * 1000), entries[i].end = SeqNum(i * 1000 + 1000);
    entries[i].transmissions = 1, entries[i].sent[0] = kRecoveryStart;
  }
  Rack rack;
  rack.begin_ack();
  for (const int i : {2, 0}) {
    rack.on_delivered(entries[i], entries[i].end, kRecoveryStart + 50ms, 50ms);
  }
  EXPECT_FALSE(rack.has_reordering_been_seen());
  rack.begin_ack();
  rack.on_delivered(entries[1], entries[1].end, kRecoveryStart + 51ms, 50ms);
  EXPECT_TRUE(rack.has_reordering_been_seen());
}

// --- the tail loss probe ---

TEST(Tlp, waits_twice_the_round_trip_and_for_a_delayed_acknowledgment_when_alone_E74_E75_E76) {
  const Rack rack;
  EXPECT_EQ(rack.tlp_timeout(estimator(20ms), 260ms, {.is_alone = true}), Duration(70ms));
  EXPECT_EQ(rack.tlp_timeout(estimator(100ms), 600ms, {.is_alone = true}), Duration(200ms));
  EXPECT_EQ(rack.tlp_timeout(estimator(2ms), 260ms, {}), Duration(10ms));
  EXPECT_EQ(rack.tlp_timeout(estimator(20ms), 260ms, {.gap = 7ms}), Duration(47ms));
  EXPECT_EQ(rack.tlp_timeout(estimator(20ms), 260ms, {.divisor = 4}), Duration(25ms));
  EXPECT_EQ(rack.tlp_timeout(estimator(20ms), 260ms, {.least = 70ms}), Duration(70ms));
  EXPECT_EQ(rack.tlp_timeout(estimator(200ms), 350ms, {}),
            Duration(350ms));  // Never after the RTO.
}

// --- the retransmission timeout ---

TEST(Rto, follows_the_rack_profile_E77) {
  RttEstimator rtt;
  const RtoProfile p = RtoProfile::rack();
  EXPECT_EQ(rtt.rto(p, 0), Duration(1s));
  rtt.sample(100ms, p);
  EXPECT_EQ(rtt.rto(p, 0), Duration(500ms));
  rtt.sample(100ms, p);
  EXPECT_EQ(rtt.rto(p, 0), Duration(475ms));
  rtt.sample(180ms, p);
  EXPECT_NEAR(static_cast<double>(rtt.rto(p, 0).count()), 503.128e6, 10e3);
}

TEST(Rto, is_at_least_a_second_by_the_rfc_E78) {
  RttEstimator rtt;
  const RtoProfile p = RtoProfile::rfc();
  for (const Duration sample : {100ms, 100ms, 180ms}) {
    rtt.sample(sample, p);
    EXPECT_EQ(rtt.rto(p, 0), Duration(1s));
  }
}

TEST(Rto, backs_off_the_value_and_not_the_slop_E79) {
  const RttEstimator rtt = estimator(100ms);
  const RtoProfile p = RtoProfile::rack();
  const Duration expected[] = {500ms, 800ms, 1400ms, 2600ms, 4s};
  for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(rtt.rto(p, i), expected[i]);
}

// --- proportional rate reduction ---

TEST(Prr, freebsd_share_E87) {
  Prr prr;
  prr.start(Bytes(28'960));
  prr.on_sent(Bytes(1448));
  const Prr::Delivery d{.delivered = Bytes(4344),
                        .pipe = Bytes(20'000),
                        .ssthresh = Bytes(14'480),
                        .mss = Bytes(1448)};
  EXPECT_EQ(prr.on_delivery(d, Prr::Variant::FreeBsd), Bytes(725));
}

TEST(Prr, sends_one_segment_for_two_delivered_at_half_the_flight_E88) {
  constexpr Bytes kSegment(1000);
  Prr prr;
  prr.start(kSegment * 20);
  Bytes sent(0);
  const int expected[] = {1, 1, 2, 2};
  for (int i = 0; i < 4; ++i) {
    const Prr::Delivery d{
        .delivered = kSegment, .pipe = kSegment * 15, .ssthresh = kSegment * 10, .mss = kSegment};
    if (prr.on_delivery(d) > Bytes(0)) {
      prr.on_sent(kSegment);
      sent += kSegment;
    }
    EXPECT_EQ(sent, kSegment * expected[i]);
  }
}

TEST(Prr, grows_back_by_a_segment_only_when_it_is_safe) {
  Prr prr;
  prr.start(Bytes(20'000));
  prr.on_sent(Bytes(1000));
  Prr::Delivery d{
      .delivered = Bytes(1000), .pipe = Bytes(4000), .ssthresh = Bytes(10'000), .mss = Bytes(1000)};
  EXPECT_EQ(prr.on_delivery(d), Bytes(1000));
  d.is_safe = true;
  EXPECT_EQ(prr.on_delivery(d), Bytes(2000));
}

}  // namespace
}  // namespace wh::tcp
