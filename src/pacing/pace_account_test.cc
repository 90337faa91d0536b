// Lateness and earliness: how they enter the next delay, and that rates are kept in the long run.
#include "pacing/pace_account.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "pacing/hpts.h"
#include "pacing/late_loop.h"
#include "pacing/pace.h"
#include "pacing/test_support.h"

namespace wh::pacing {
namespace {

constexpr Instant kStart(1000s);
constexpr PaceAccount::Policy kFixed{.repay = PaceAccount::Repay::AtOnce};
constexpr PaceAccount::Policy kDgp{.repay = PaceAccount::Repay::Slowly};

// An account that owes `late`, or is owed `early`.
PaceAccount late_by(Duration late) {
  PaceAccount account;
  account.start(kStart, 1ms, {});
  account.note_output(kStart + 1ms + late);
  return account;
}
PaceAccount early_by(Duration early) {
  return late_by(-early);
}

TEST(PaceAccount, E27_fixed_rate_repays_lateness_from_the_next_delay) {
  PaceAccount account = late_by(300us);
  EXPECT_EQ(account.agg_delayed(), 300us);
  EXPECT_EQ(account.start(kStart, 1000us, kFixed), 700us);
  EXPECT_EQ(account.agg_delayed(), 0us);
}

TEST(PaceAccount, E28_fixed_rate_keeps_10_us_and_the_rest_stays_owed) {
  PaceAccount account = late_by(1500us);
  EXPECT_EQ(account.start(kStart, 1000us, kFixed), 10us);
  EXPECT_EQ(account.agg_delayed(), 510us);
}

TEST(PaceAccount, fixed_rate_never_waits_less_than_10_us) {
  PaceAccount account = late_by(995us);
  EXPECT_EQ(account.start(kStart, 1000us, kFixed), 10us) << "5 us would be left";
  EXPECT_EQ(account.agg_delayed(), 5us);
  account = late_by(20us);
  EXPECT_EQ(account.start(kStart, 4us, kFixed), 10us) << "a delay below 10 us owes more";
  EXPECT_EQ(account.agg_delayed(), 26us);
}

TEST(PaceAccount, fixed_rate_waits_half_of_a_short_delay_on_a_precise_wheel) {
  const PaceAccount::Policy precise{.is_precise = true};
  PaceAccount account = late_by(100us);
  EXPECT_EQ(account.start(kStart, 12us, precise), 6us);
  EXPECT_EQ(account.agg_delayed(), 94us);
  EXPECT_EQ(account.start(kStart, 19'998ns, precise), 9'999ns);
  EXPECT_EQ(account.start(kStart, 20'002ns, precise), 10us);
  EXPECT_EQ(account.start(kStart, 1000us, precise), 1000us - (94us - 9'999ns - 10'002ns));
  EXPECT_EQ(account.agg_delayed(), 0us);
}

TEST(PaceAccount, E29_dgp_repays_a_tenth_of_each_delay) {
  PaceAccount account = late_by(300us);
  for (const Duration owed : {200us, 100us, 0us}) {
    EXPECT_EQ(account.start(kStart, 1000us, kDgp), 900us);
    EXPECT_EQ(account.agg_delayed(), owed);
  }
  EXPECT_EQ(account.start(kStart, 1000us, kDgp), 1000us);
}

TEST(PaceAccount, dgp_repays_by_max_reduction_in_whole_microseconds) {
  PaceAccount::Policy policy = kDgp;
  policy.max_reduction = 25;
  PaceAccount account = late_by(300us);
  EXPECT_EQ(account.start(kStart, 1009us, policy), 1009us - 252us);
  EXPECT_EQ(account.agg_delayed(), 48us);
}

TEST(PaceAccount, E30_earliness_lengthens_the_next_delay) {
  for (const auto& policy : {kFixed, kDgp}) {
    PaceAccount account = early_by(200us);
    EXPECT_EQ(account.agg_early(), 200us);
    EXPECT_EQ(account.start(kStart, 1000us, policy), 1200us);
    EXPECT_EQ(account.agg_early(), 0us);
  }
}

TEST(PaceAccount, E31_dgp_waits_at_least_what_HPTS_can_keep) {
  EXPECT_EQ(PaceAccount().start(kStart, 100us, kDgp), 260us);
  EXPECT_EQ(PaceAccount().start(kStart, 261us, kDgp), 261us);
  EXPECT_EQ(PaceAccount().start(kStart, 0us, kDgp), 0us) << "no pacing is no delay";
  EXPECT_EQ(PaceAccount().start(kStart, 100us, kFixed), 100us);
}

TEST(PaceAccount, E32_nothing_may_leave_between_start_and_expiry) {
  PaceAccount account;
  EXPECT_FALSE(account.must_wait(kStart));
  account.start(kStart, 1000us, kFixed);
  for (int ack = 0; ack < 20; ++ack) EXPECT_TRUE(account.must_wait(kStart + ack * Duration(50us)));
  EXPECT_TRUE(account.must_wait(kStart + 1000us - 1ns));
  EXPECT_FALSE(account.must_wait(kStart + 1000us)) << "an application may send before HPTS fires";
  account.note_output(kStart + 1000us);
  EXPECT_FALSE(account.is_pacing());
  EXPECT_FALSE(account.must_wait(kStart));
}

TEST(PaceAccount, adds_up_until_it_is_repaid_or_reset) {
  PaceAccount account;
  for (int i = 0; i < 3; ++i) {
    account.start(kStart, 10us, kFixed);
    account.note_output(kStart + 10us + 100us);
  }
  EXPECT_EQ(account.agg_delayed(), 300us);
  account.note_output(kStart + 10s);
  EXPECT_EQ(account.agg_delayed(), 300us) << "no delay was running";
  account.reset();
  EXPECT_EQ(account.agg_delayed(), 0us);
  EXPECT_FALSE(account.is_pacing());
}

// A sender paced by HPTS at a fixed rate, as a stack would do it.
class PacedSender final : public HptsClient {
 public:
  PacedSender(Hpts& hpts, Bytes burst, Duration interval)
      : hpts_(hpts), burst_(burst), interval_(interval) {}
  void send() {
    const Instant now = hpts_.loop().clock();
    EXPECT_FALSE(account_.must_wait(now));
    account_.note_output(now);
    sent_ += burst_;
    hpts_.insert(*this, account_.start(now, interval_, kFixed));
  }
  Bytes sent() const { return sent_; }

 private:
  void hpts_output(Duration) override { send(); }
  Hpts& hpts_;
  Bytes burst_, sent_;
  Duration interval_;
  PaceAccount account_;
};

// How far, relatively, `sender` is from sending at `rate` for `time`, beyond the burst it begins
// with.
double error_after(Duration time, const PacedSender& sender, Rate rate) {
  const auto ideal = static_cast<double>(rate.bytes_in(time).count());
  return std::abs(static_cast<double>(sender.sent().count()) - ideal) / ideal;
}

TEST(PaceAccount, E33_8_Mbps_is_kept_within_1_percent_for_10_s_of_late_timers) {
  constexpr uint64_t kSeed = 33;
  SCOPED_TRACE("replay: ./x test pacing -k PaceAccount, seed " + std::to_string(kSeed));
  LateLoop loop;
  Random random(kSeed);
  loop.set_lateness([&] { return Duration(1ns) * int64_t(random.below(250'000)); });
  HptsBooks books;
  Hpts hpts(loop, books);
  const Bytes len = pace_len(8_Mbps, kMss);
  PacedSender sender(hpts, len + kOverhead * (len / kMss), interval_of(len, 8_Mbps));
  sender.send();
  loop.run_for(10s);
  EXPECT_LT(error_after(10s, sender, 8_Mbps), 0.01);
  EXPECT_EQ(books.counters.hopeless, 0u);
}

TEST(PaceAccount, one_packet_per_ms_drifts_less_than_a_thousandth_in_an_hour) {
  constexpr uint64_t kSeed = 12;
  SCOPED_TRACE("replay: ./x test pacing -k PaceAccount, seed " + std::to_string(kSeed));
  LateLoop loop;
  Random random(kSeed);
  // Mostly prompt, at times very late.
  loop.set_lateness([&] {
    const int64_t most = random.one_in(100) ? 20'000'000 : 200'000;
    return Duration(1ns) * int64_t(random.below(uint64_t(most)));
  });
  HptsBooks books;
  Hpts hpts(loop, books);
  PacedSender sender(hpts, Bytes(1500), (12_Mbps).transfer_time(Bytes(1500)));
  sender.send();
  loop.run_for(1h);
  EXPECT_LT(error_after(1h, sender, 12_Mbps), 0.001);
  EXPECT_NEAR(static_cast<double>(sender.sent() / Bytes(1500)), 3'600'000, 25);
}

TEST(PaceAccount, without_repayment_the_same_hour_would_be_off) {
  // The yardstick of the test above: the wheel alone, with delays counted from each late call.
  LateLoop loop;
  Random random(12);
  loop.set_lateness([&] { return Duration(1ns) * int64_t(random.below(200'000)); });
  HptsBooks books;
  Hpts hpts(loop, books);
  struct Naive final : HptsClient {
    explicit Naive(Hpts& h) : hpts(h) {}
    void hpts_output(Duration) override {
      ++sent;
      hpts.insert(*this, 1ms);
    }
    Hpts& hpts;
    int64_t sent = 0;
  } naive(hpts);
  hpts.insert(naive, 1ms);
  loop.run_for(60s);
  EXPECT_LT(naive.sent, 57'000);
}

}  // namespace
}  // namespace wh::pacing
