#include "kyua/filter.h"

#include <gtest/gtest.h>

namespace wh::kyua {
namespace {

std::string parse_error(const std::string& text) {
  const auto filter = Filter::parse(text);
  return filter ? "" : filter.error().text;
}

TEST(Filter, matches_a_program_a_case_or_everything_below_a_folder) {
  const Filter folder = *Filter::parse("foo"), one = *Filter::parse("foo/baz:bar");
  EXPECT_TRUE(folder.matches("foo", "x"));
  EXPECT_TRUE(folder.matches("foo/baz", "bar"));
  EXPECT_FALSE(folder.matches("foobar", "x"));
  EXPECT_TRUE(one.matches("foo/baz", "bar"));
  EXPECT_FALSE(one.matches("foo/baz", "barn"));
  EXPECT_FALSE(Filter::parse("foo:bar")->may_match("foo/baz"));
}

TEST(Filter, refuses_in_kyuas_words) {
  EXPECT_EQ(parse_error(""), "Test filter cannot be empty");
  EXPECT_EQ(parse_error(":foo"), "Program name component in ':foo' is empty");
  EXPECT_EQ(parse_error("foo:"), "Test case component in 'foo:' is empty");
  EXPECT_EQ(parse_error("/abs"),
            "Program name '/abs' must be relative to the test suite, not absolute");
}

TEST(Filters, must_be_disjoint) {
  EXPECT_EQ(Filters::parse({"plain_pass", "plain_pass"}).error().text,
            "Duplicate filter 'plain_pass'");
  EXPECT_EQ(Filters::parse({"sub", "sub/deep"}).error().text,
            "Filters 'sub' and 'sub/deep' are not disjoint");
  EXPECT_TRUE(Filters::parse({"p:a", "p:b"}));
}

TEST(Filters, remember_what_never_matched) {
  Filters filters = *Filters::parse({"a", "nope:x"});
  EXPECT_TRUE(filters.match("a", "main"));
  EXPECT_FALSE(filters.match("b", "main"));
  ASSERT_EQ(filters.unmatched().size(), 1u);
  EXPECT_EQ(filters.unmatched()[0].to_string(), "nope:x");
}

}  // namespace
}  // namespace wh::kyua
