#include "net/seq.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace wh::net {
namespace {

// What has no meaning does not compile.
template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};
static_assert(Addable<SeqNum, SeqLen> && Addable<SeqLen, SeqLen>);
static_assert(!Addable<SeqNum, SeqNum> && !Addable<SeqNum, uint32_t> && !Addable<SeqLen, SeqNum>);
static_assert(std::is_same_v<decltype(SeqNum() - SeqNum()), SeqLen>);
static_assert(std::is_same_v<decltype(SeqNum() - SeqLen()), SeqNum>);
static_assert(!std::is_convertible_v<uint32_t, SeqNum> && !std::is_convertible_v<SeqLen, uint32_t>);

TEST(SeqNum, compares_modularly_up_to_half_the_circle) {
  for (const uint32_t from : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    const SeqNum a(from);
    EXPECT_LT(a, a + SeqLen(1));
    EXPECT_LT(a, a + SeqLen(0x7fffffff));
    EXPECT_GT(a, a - SeqLen(1));
    EXPECT_GT(a, a + SeqLen(0x80000001));
    EXPECT_LE(a, a);
    EXPECT_GE(a, a);
    EXPECT_FALSE(a < a);
  }
}

TEST(SeqNum, point_plus_length_minus_point_is_the_length) {
  for (const uint32_t from : {0u, 5u, 0xfffffff0u}) {
    for (const uint32_t length : {0u, 1u, 16u, 0xffffffffu}) {
      EXPECT_EQ(SeqNum(from) + SeqLen(length) - SeqNum(from), SeqLen(length));
    }
  }
  SeqNum n(0xffffffff);
  n += SeqLen(2);
  EXPECT_EQ(n.value(), 1u);
  n -= SeqLen(3);
  EXPECT_EQ(n.value(), 0xfffffffeu);
}

TEST(SeqNum, is_in_a_window_from_its_first_to_before_its_end) {
  const SeqNum first(0xfffffffe);
  EXPECT_FALSE((first - SeqLen(1)).is_in(first, SeqLen(4)));
  EXPECT_TRUE(first.is_in(first, SeqLen(4)));
  EXPECT_TRUE((first + SeqLen(3)).is_in(first, SeqLen(4)));
  EXPECT_FALSE((first + SeqLen(4)).is_in(first, SeqLen(4)));
  EXPECT_FALSE(first.is_in(first, SeqLen(0)));
}

TEST(SeqNum, earlier_and_later_are_modular) {
  const SeqNum a(0xffffffff), b(3);
  EXPECT_EQ(earlier(a, b), a);
  EXPECT_EQ(earlier(b, a), a);
  EXPECT_EQ(later(a, b), b);
  EXPECT_EQ(later(b, a), b);
}

TEST(SeqLen, counts_and_compares_plainly) {
  EXPECT_LT(SeqLen(1), SeqLen(0xffffffff));
  EXPECT_EQ(SeqLen(7).bytes(), Bytes(7));
  SeqLen n(5);
  n += SeqLen(2);
  n -= SeqLen(3);
  EXPECT_EQ(n, SeqLen(4));
}

}  // namespace
}  // namespace wh::net
