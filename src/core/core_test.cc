// Result, random numbers, histogram, intrusive list: the small things, in one page.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/histogram.h"
#include "core/intrusive_list.h"
#include "core/random.h"
#include "core/result.h"

namespace wh {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail("{} is odd; accepted: an even number", n);
  return n / 2;
}
Result<int> quarter(int n) {
  return TRY(half(TRY(half(n))));
}

TEST(Result, try_yields_the_value_or_returns_the_error) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().text, "3 is odd; accepted: an even number");
  EXPECT_EQ(quarter(6).error().code, std::errc::invalid_argument);
}

TEST(Result, error_within_names_the_place) {
  EXPECT_EQ(half(3).error().text, "3 is odd; accepted: an even number");
  EXPECT_EQ(Error{half(3).error()}.within("lab.toml:7").text,
            "lab.toml:7: 3 is odd; accepted: an even number");
  const Result<int> failed = fail_with(std::errc::permission_denied, "open /dev/net/tun");
  EXPECT_EQ(failed.error().text, "open /dev/net/tun: Permission denied");
}

TEST(ResultDeathTest, must_prints_the_error) {
  EXPECT_DEATH((void)MUST(half(1)), "1 is odd");
}

TEST(CheckDeathTest, a_failed_check_prints_the_values) {
  const int left = 3;
  EXPECT_DEATH(CHECK_EQ(left, 4), "left == 4 \\(3 vs 4\\)");
}

TEST(Random, same_seed_gives_the_same_numbers) {
  // Golden: a change of generator would silently change every recorded seed.
  Random random(1);
  EXPECT_EQ(random.next(), 0xb3f2af6d0fc710c5u);
  Random a(42), b(42);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(a.next(), b.next());
}

TEST(Random, fork_depends_on_seed_and_name_only) {
  Random a(42), b(42);
  (void)b.next();
  EXPECT_EQ(a.fork("loss").next(), b.fork("loss").next());
  EXPECT_NE(a.fork("loss").next(), a.fork("jitter").next());
  EXPECT_NE(a.fork("loss").next(), Random(43).fork("loss").next());
}

TEST(Random, draws_stay_in_range_and_have_the_right_mean) {
  Random random(3);
  double uniform = 0, exponential = 0, normal = 0, square = 0;
  constexpr int kDraws = 200000;
  for (int i = 0; i < kDraws; ++i) {
    ASSERT_LT(random.below(7), 7u);
    const uint64_t between = random.between(5, 9);
    ASSERT_TRUE(between >= 5 && between <= 9);
    const double u = random.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    uniform += u;
    exponential += random.exponential(2.0);
    const double n = random.normal();
    normal += n;
    square += n * n;
  }
  EXPECT_NEAR(uniform / kDraws, 0.5, 0.005);
  EXPECT_NEAR(exponential / kDraws, 2.0, 0.03);
  EXPECT_NEAR(normal / kDraws, 0.0, 0.01);
  EXPECT_NEAR(square / kDraws, 1.0, 0.02);
  EXPECT_FALSE(random.chance(0));
  EXPECT_TRUE(random.chance(1));
}

TEST(Histogram, quantiles_are_within_one_bucket_of_the_sorted_values) {
  Random random(11);
  Histogram h;
  std::vector<uint64_t> values;
  for (int i = 0; i < 50000; ++i) {
    values.push_back(random.next() >> random.between(20, 63));
    h.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
    const uint64_t exact = values[rank == 0 ? 0 : rank - 1];
    ASSERT_GE(h.quantile(q), exact) << q;
    ASSERT_LE(static_cast<double>(h.quantile(q)), static_cast<double>(exact) * (1 + 1.0 / 128) + 1);
  }
  EXPECT_EQ(h.min(), values.front());
  EXPECT_EQ(h.max(), values.back());
}

TEST(Histogram, small_values_are_exact_and_empty_is_zero) {
  Histogram h;
  EXPECT_EQ(h.quantile(0.5), 0u);
  EXPECT_EQ(h.mean(), 0);
  for (uint64_t v = 0; v < 128; ++v) h.record(v);
  EXPECT_EQ(h.quantile(0.5), 63u);
  EXPECT_EQ(h.mean(), 63.5);
  h.record(~uint64_t{0}, 1000);
  EXPECT_EQ(h.quantile(0.99), ~uint64_t{0});
}

TEST(Histogram, merge_is_the_histogram_of_both) {
  Histogram a, b, both;
  for (uint64_t v = 1; v < 5000; v += 7) a.record(v), both.record(v);
  for (uint64_t v = 3; v < 900000; v += 997) b.record(v), both.record(v);
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.mean(), both.mean());
  for (const double q : {0.1, 0.5, 0.99}) EXPECT_EQ(a.quantile(q), both.quantile(q));
}

TEST(Histogram, since_is_what_was_recorded_later) {
  Histogram h, later;
  for (uint64_t v = 1; v < 100000; v += 3) h.record(v);
  const Histogram before = h;
  EXPECT_EQ(h.since(before).count(), 0u);
  for (uint64_t v = 500; v < 2'000'000; v += 777) h.record(v), later.record(v);
  const Histogram found = h.since(before);
  EXPECT_EQ(found.count(), later.count());
  EXPECT_EQ(found.mean(), later.mean());
  for (const double q : {0.01, 0.5, 0.95}) EXPECT_EQ(found.quantile(q), later.quantile(q));
  EXPECT_NEAR(static_cast<double>(found.min()), 500, 4);
  EXPECT_EQ(h.since(Histogram()).quantile(0.5), h.quantile(0.5));
}

struct Item {
  explicit Item(int n) : value(n) {}
  int value;
  ListLink link;
};
using Items = IntrusiveList<Item, &Item::link>;

TEST(IntrusiveList, keeps_order_through_inserts_and_removals) {
  Item a(1), b(2), c(3), d(4);
  Items list;
  list.push_back(b);
  list.push_front(a);
  list.push_back(d);
  list.insert_after(b, c);
  int expected = 1;
  for (Item* i = list.front(); i != nullptr; i = list.next(*i)) EXPECT_EQ(i->value, expected++);
  EXPECT_EQ(expected, 5);
  b.link.unlink();
  b.link.unlink();
  EXPECT_EQ(list.prev(c)->value, 1);
  EXPECT_EQ(list.back()->value, 4);
}

TEST(IntrusiveList, elements_leave_when_they_die_and_lists_let_go_when_they_die) {
  Item a(1);
  {
    Items list;
    {
      Item b(2);
      list.push_back(a);
      list.push_back(b);
    }
    EXPECT_EQ(list.back(), &a);
    EXPECT_TRUE(a.link.is_linked());
  }
  EXPECT_FALSE(a.link.is_linked());
}

TEST(IntrusiveList, splice_moves_everything) {
  Item a(1), b(2), c(3);
  Items one, two;
  one.push_back(a);
  two.push_back(b);
  two.push_back(c);
  one.splice_back(two);
  EXPECT_TRUE(two.empty());
  EXPECT_EQ(one.back(), &c);
  EXPECT_EQ(one.next(a), &b);
  two.splice_back(one);
  one.splice_back(one.empty() ? two : one);
  EXPECT_EQ(one.front(), &a);
}

}  // namespace
}  // namespace wh
