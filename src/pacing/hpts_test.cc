#include <gtest/gtest.h>

#include "core/virtual_loop.h"
#include "pacing/hpts.h"
namespace wh::pacing {
namespace {
struct C : HptsClient {
  explicit C(Loop& l) : loop(l) {}
  void hpts_output(Duration d) override {
    at = loop.now();
    late = d;
    ++calls;
  }
  Loop& loop;
  Instant at{};
  Duration late{};
  int calls = 0;
};
TEST(Hpts, calls_short_and_long_delays_exactly) {
  VirtualLoop loop;
  HptsBooks books;
  SysctlTree tree;
  books.add_sysctls(tree);
  Hpts hpts(loop, books);
  C c(loop), l(loop);
  loop.run_for(1ms);
  const Instant t = loop.now();
  hpts.insert(c, 500us);
  hpts.insert(l, 2s);
  EXPECT_EQ(hpts.remaining(l).count(), 200000 - 102399);
  loop.run_for(3s);
  EXPECT_EQ(c.at - t, 500us);
  EXPECT_EQ(l.at - t, 2s);
  EXPECT_EQ(c.calls, 1);
  EXPECT_EQ(l.calls, 1);
}
}  // namespace
}  // namespace wh::pacing
