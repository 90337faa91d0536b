#include "pacing/hpts_group.h"

#include <gtest/gtest.h>

#include <set>

#include "pacing/hpts_recorder.h"
#include "pacing/late_loop.h"

namespace wh::pacing {
namespace {

class HptsGroupTest : public ::testing::Test {
 protected:
  LateLoop loop;
  HptsBooks books;
  HptsGroup group{loop, books, 4, Random(1)};
};

TEST_F(HptsGroupTest, E20d_soft_clock_runs_the_wheel_whose_last_run_is_oldest) {
  Recorder ran(loop);
  // Last runs 10, 40, 25 and 5 ms ago.
  for (const auto& [wheel, ago] :
       {std::pair{1u, 40ms}, std::pair{2u, 25ms}, std::pair{0u, 10ms}, std::pair{3u, 5ms}}) {
    const Instant start = LateLoop::kEpoch + 100ms;
    const Duration wait = start - Duration(ago) - loop.now();
    loop.run_for(wait);
    group.wheel(wheel).insert(ran, 0us);
    loop.run_for(10us);
    ASSERT_FALSE(ran.in_hpts());
  }
  loop.run_until(LateLoop::kEpoch + 100ms);
  Crowd crowd(loop, group.wheel(0), 150);
  for (uint32_t cpu = 0; cpu < 4; ++cpu) {
    const uint32_t expected[] = {1, 2, 0, 3};
    const Instant before = group.wheel(expected[cpu]).last_run();
    ASSERT_LT(before, loop.now());
    group.softclock(cpu);
    EXPECT_EQ(group.wheel(expected[cpu]).last_run(), loop.now()) << "soft call " << cpu;
  }
}

TEST_F(HptsGroupTest, soft_clock_is_silent_while_no_wheel_is_over_the_threshold) {
  Crowd crowd(loop, group.wheel(0), 99);
  loop.spend(1ms);
  group.softclock(0);
  EXPECT_EQ(books.counters.direct_call, 0u);
  Recorder one_more(loop);
  group.wheel(0).insert(one_more, 900ms);
  group.softclock(0);
  EXPECT_EQ(books.counters.direct_call, 1u);
}

TEST_F(HptsGroupTest, flow_id_chooses_the_wheel_for_good) {
  Recorder a(loop);
  Hpts& first = group.tcp_set_hpts(a, std::nullopt);
  EXPECT_EQ(&group.tcp_set_hpts(a, std::nullopt), &first) << "random once";
  EXPECT_EQ(&group.tcp_set_hpts(a, 6), &group.wheel(2));
  EXPECT_EQ(&group.tcp_set_hpts(a, 7), &group.wheel(2)) << "a wheel chosen by flow stays";
  EXPECT_EQ(books.counters.cpusel_random, 1u);
  EXPECT_EQ(books.counters.cpusel_flowid, 1u);
  group.insert(a, 1ms);
  EXPECT_EQ(a.hpts(), &group.wheel(2));
  EXPECT_EQ(group.wheel(2).queued(), 1u);
}

TEST_F(HptsGroupTest, wheel_does_not_change_under_a_waiting_client) {
  Recorder a(loop);
  group.insert(a, 1ms);
  Hpts* before = a.hpts();
  const uint32_t other = before == &group.wheel(0) ? 1 : 0;
  EXPECT_EQ(&group.tcp_set_hpts(a, other), before);
  loop.run_for(1ms);
  EXPECT_EQ(&group.tcp_set_hpts(a, other), &group.wheel(other));
  group.insert(a, 1ms);
  EXPECT_EQ(a.hpts(), &group.wheel(other));
}

TEST_F(HptsGroupTest, clients_without_a_flow_spread_over_all_wheels) {
  std::vector<std::unique_ptr<Recorder>> clients;
  std::set<Hpts*> used;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<Recorder>(loop));
    group.insert(*clients.back(), 1ms);
    used.insert(clients.back()->hpts());
  }
  EXPECT_EQ(used.size(), 4u);
}

}  // namespace
}  // namespace wh::pacing
