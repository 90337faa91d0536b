// The tunables as the article's table has them, and the counters, through the sysctl tree.
#include "pacing/hpts_books.h"

#include <gtest/gtest.h>

#include "core/virtual_loop.h"
#include "pacing/hpts.h"
#include "pacing/hpts_recorder.h"

namespace wh::pacing {
namespace {

class HptsBooksTest : public ::testing::Test {
 protected:
  HptsBooksTest() { books.add_sysctls(tree); }
  std::string get(const std::string& leaf) { return MUST(tree.get("net.inet.tcp.hpts." + leaf)); }
  Result<void> set(const std::string& leaf, const std::string& value) {
    return tree.set("net.inet.tcp.hpts." + leaf, value);
  }

  HptsBooks books;
  SysctlTree tree;
};

struct Row {
  const char* name;
  const char* also;  // The name in FreeBSD's code.
  const char* value;
  const char* unit;
};

// The table of the article, in its order, with the units of FreeBSD's code.
constexpr Row kTable[] = {
    {"no_wake_over_thresh", "nowake_over_thresh", "1", "bool"},
    {"less_sleep", "", "1000", "slots"},
    {"more_sleep", "", "100", "slots"},
    {"min_sleep", "minsleep", "250", "us"},
    {"max_sleep", "maxsleep", "51200", "slots"},
    {"loop_max", "loopmax", "10", "count"},
    {"dyn_maxsleep", "", "5000", "us"},
    {"dyn_minsleep", "", "250", "us"},
    {"cnt_thresh", "", "100", "connections"},
};

TEST_F(HptsBooksTest, tunables_are_those_of_the_article) {
  const auto leaves = MUST(tree.list("net.inet.tcp.hpts"));
  for (const Row& row : kTable) {
    EXPECT_EQ(get(row.name), row.value) << row.name;
    if (*row.also != '\0') {
      EXPECT_EQ(get(row.also), row.value) << row.also;
    }
    const std::string name = std::string("net.inet.tcp.hpts.") + row.name;
    const auto leaf =
        std::find_if(leaves.begin(), leaves.end(), [&](const auto& l) { return l.name == name; });
    ASSERT_NE(leaf, leaves.end());
    EXPECT_EQ(leaf->unit, row.unit) << row.name;
    EXPECT_FALSE(leaf->description.empty());
    EXPECT_TRUE(leaf->writable);
  }
}

TEST_F(HptsBooksTest, both_names_of_a_tunable_reach_one_value) {
  ASSERT_TRUE(set("minsleep", "300"));
  EXPECT_EQ(get("min_sleep"), "300");
  EXPECT_EQ(books.tunables.min_sleep, 300);
  ASSERT_TRUE(set("no_wake_over_thresh", "0"));
  EXPECT_EQ(get("nowake_over_thresh"), "0");
}

TEST_F(HptsBooksTest, E20c_sleeps_out_of_bounds_are_refused) {
  for (const auto& [leaf, value] :
       {std::pair{"minsleep", "49"}, std::pair{"maxsleep", "24"}, std::pair{"maxsleep", "51201"},
        std::pair{"min_sleep", "49"}, std::pair{"max_sleep", "24"}}) {
    const std::string before = get(leaf);
    const auto result = set(leaf, value);
    ASSERT_FALSE(result) << leaf << "=" << value;
    EXPECT_EQ(result.error().code, std::errc::invalid_argument);
    EXPECT_EQ(get(leaf), before);
  }
  EXPECT_TRUE(set("minsleep", "50"));
  EXPECT_TRUE(set("maxsleep", "25"));
  EXPECT_TRUE(set("maxsleep", "51200"));
}

TEST_F(HptsBooksTest, dynamic_bounds_cannot_cross) {
  EXPECT_FALSE(set("dyn_maxsleep", "249"));
  EXPECT_FALSE(set("dyn_minsleep", "5001"));
  EXPECT_FALSE(set("dyn_minsleep", "0"));
  EXPECT_TRUE(set("dyn_maxsleep", "250"));
  EXPECT_TRUE(set("dyn_maxsleep", "20000"));
  EXPECT_TRUE(set("maxsleep", "1000"));
  EXPECT_FALSE(set("dyn_minsleep", "10010")) << "max_sleep, 1000 slots, must stay above it";
  EXPECT_TRUE(set("dyn_minsleep", "10000"));
}

TEST_F(HptsBooksTest, wheel_shows_its_state_and_the_books_its_counts) {
  VirtualLoop loop;
  Hpts hpts(loop, books);
  hpts.add_sysctls(tree, 0);
  Recorder a(loop), b(loop);
  hpts.insert(a, 1ms);
  hpts.insert(b, 2s);
  EXPECT_EQ(get("0.out_qcnt"), "2");
  EXPECT_EQ(get("0.now_sleeping"), "1000");
  loop.run_for(1ms);
  EXPECT_EQ(get("0.out_qcnt"), "1");
  EXPECT_EQ(get("0.active"), "0");
  EXPECT_EQ(get("0.cur_min_sleep"), "250");
  EXPECT_EQ(get("0.lastran"), get("0.curtick"));
  EXPECT_EQ(get("0.runtick"), "100000100");  // 1000 s and 1 ms, in 10 us.
  EXPECT_EQ(get("0.curslot"), std::to_string(100'000'100 % 102'400));
  EXPECT_EQ(get("stats.inserts"), "2");
  EXPECT_EQ(get("stats.long_timers"), "1");
  EXPECT_EQ(get("stats.calls"), "1");
  EXPECT_EQ(get("stats.max_queued"), "2");
  EXPECT_EQ(get("stats.lateness"), ">=0us:1");
  EXPECT_FALSE(set("stats.calls", "0")) << "read-only";
}

TEST_F(HptsBooksTest, lateness_is_counted_by_powers_of_two) {
  VirtualLoop loop;
  Hpts hpts(loop, books);
  Recorder a(loop), b(loop), c(loop);
  hpts.insert(a, 1ms);
  // Two that are due soon after, while the wheel keeps its least sleep of 250 us.
  a.then = [&](Recorder&) {
    hpts.insert(b, 240us);
    hpts.insert(c, 10us);
  };
  loop.run_for(2ms);
  EXPECT_EQ(b.delayed_by, 10us);
  EXPECT_EQ(c.delayed_by, 240us);
  EXPECT_EQ(get("stats.lateness"), ">=0us:1 >=10us:1 >=160us:1");
}

}  // namespace
}  // namespace wh::pacing
