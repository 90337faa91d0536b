#include "core/sysctl.h"

#include <gtest/gtest.h>

namespace wh {
namespace {

struct Tunables {
  Tunables() {
    tree.add_int("net.inet.tcp.hpts.min_sleep", &min_sleep,
                 {.description = "least sleep",
                  .unit = "us",
                  .min = 50,
                  .max = 512000,
                  .also = {"net.inet.tcp.hpts.minsleep"}});
    tree.add_int("net.inet.tcp.sack.enable", &sack, {.description = "SACK", .min = 0, .max = 1});
    tree.add_counter("net.inet.tcp.stats.rexmits", &rexmits, "segments sent again");
    tree.add_int("net.inet.tcp.even", &even,
                 {.description = "an even number",
                  .min = 0,
                  .max = 100,
                  .check = [](int64_t v) -> Result<void> {
                    if (v % 2 != 0) return fail("{} is odd", v);
                    return {};
                  }});
    tree.add_text("net.inet.tcp.cc.algorithm", {.description = "the default",
                                                .get = [this] { return algorithm; },
                                                .set = [this](std::string_view v) -> Result<void> {
                                                  algorithm = v;
                                                  return {};
                                                }});
  }
  SysctlTree tree;
  int64_t min_sleep = 250, sack = 1, even = 2;
  uint64_t rexmits = 7;
  std::string algorithm = "newreno";
};

TEST(Sysctl, set_changes_the_component_and_get_reads_it) {
  Tunables t;
  EXPECT_TRUE(t.tree.set("net.inet.tcp.hpts.min_sleep", "50").has_value());
  EXPECT_EQ(t.min_sleep, 50);
  EXPECT_EQ(t.tree.get("net.inet.tcp.hpts.minsleep").value(), "50");
  EXPECT_TRUE(t.tree.assign("net.inet.tcp.cc.algorithm=cubic").has_value());
  EXPECT_EQ(t.algorithm, "cubic");
  EXPECT_EQ(t.tree.get("net.inet.tcp.stats.rexmits").value(), "7");
}

// A least value and a most one may both leave the range that they had, either way.
TEST(Sysctl, changes_are_sorted_so_that_each_can_be_set) {
  const auto is_sorted = [](int64_t least_to, int64_t most_to) {
    SysctlTree tree;
    int64_t least = 10, most = 20;
    const auto check = [&](int64_t) -> Result<void> {
      if (least > most) return fail("{} is above {}", least, most);
      return {};
    };
    tree.add_int("least", &least, {.description = "", .check = check});
    tree.add_int("most", &most, {.description = "", .check = check});
    least = least_to, most = most_to;
    std::vector<SysctlTree::Change> changes = {{"least", "10", std::to_string(least)},
                                               {"most", "20", std::to_string(most)}};
    tree.sort_for_setting(changes);
    EXPECT_EQ(least, least_to);
    EXPECT_EQ(most, most_to);
    least = 10, most = 20;
    for (const auto& c : changes) {
      if (!tree.set(c.name, c.to)) return false;
    }
    return changes.size() == 2 && least == least_to && most == most_to;
  };
  EXPECT_TRUE(is_sorted(30, 40));
  EXPECT_TRUE(is_sorted(3, 4));
  EXPECT_TRUE(is_sorted(12, 18));
}

TEST(Sysctl, an_unknown_name_gets_the_nearest_one) {
  Tunables t;
  const auto result = t.tree.set("net.inet.tcp.hpts.min_slep", "100");
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().text.find("did you mean 'net.inet.tcp.hpts.min_sleep'?"),
            std::string::npos);
  EXPECT_EQ(t.tree.get("completely.else").error().text, "unknown sysctl 'completely.else'");
  EXPECT_NE(t.tree.get("net.inet.tcp").error().text.find("is a node"), std::string::npos);
}

TEST(Sysctl, a_bad_value_changes_nothing_and_gets_the_range) {
  Tunables t;
  EXPECT_EQ(t.tree.set("net.inet.tcp.hpts.min_sleep", "49").error().text,
            "sysctl 'net.inet.tcp.hpts.min_sleep': 49 is out of range; accepted: 50..512000 us");
  for (const char* bad : {"", "abc", "250us", "1.5", "99999999999999999999", "512001", "0x50"}) {
    EXPECT_FALSE(t.tree.set("net.inet.tcp.hpts.min_sleep", bad).has_value()) << bad;
  }
  EXPECT_EQ(t.min_sleep, 250);
  EXPECT_FALSE(t.tree.set("net.inet.tcp.stats.rexmits", "0").has_value());
  EXPECT_FALSE(t.tree.set("net.inet.tcp.even", "3").has_value());
  EXPECT_EQ(t.even, 2);
  EXPECT_FALSE(t.tree.assign("net.inet.tcp.even").has_value());
}

TEST(Sysctl, list_shows_value_default_unit_and_range) {
  Tunables t;
  t.min_sleep = 300;
  const auto leaves = t.tree.list("net.inet.tcp.hpts").value();
  ASSERT_EQ(leaves.size(), 2u);
  EXPECT_EQ(leaves[0].name, "net.inet.tcp.hpts.min_sleep");
  EXPECT_EQ(leaves[0].value, "300");
  EXPECT_EQ(leaves[0].default_value, "250");
  EXPECT_EQ(leaves[0].unit, "us");
  EXPECT_TRUE(leaves[0].writable);
  EXPECT_EQ(t.tree.list("").value().size(), 6u);
  EXPECT_FALSE(t.tree.list("net.inet.tcp.hp").has_value());
  t.tree.remove("net.inet.tcp.hpts");
  EXPECT_FALSE(t.tree.contains("net.inet.tcp.hpts.min_sleep"));
  EXPECT_EQ(t.tree.list("").value().size(), 4u);
}

TEST(Sysctl, edit_distance_counts_single_edits) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(nearest("rat", {"rate", "delay"}), "rate");
  EXPECT_EQ(nearest("zzzzzz", {"rate", "delay"}), "");
}

}  // namespace
}  // namespace wh
