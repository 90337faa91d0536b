#include "kyua/metadata.h"

#include <gtest/gtest.h>

#include "kyua/text.h"

namespace wh::kyua {
namespace {

std::string error_of(const Result<void>& result) {
  return result ? "" : result.error().text;
}

TEST(Metadata, answers_the_default_until_a_value_is_set) {
  Metadata m;
  EXPECT_EQ(m.get("timeout"), "300");
  EXPECT_EQ(m.timeout(), 300s);
  EXPECT_FALSE(m.flag("is_exclusive"));
  ASSERT_TRUE(m.set("is_exclusive", "true"));
  EXPECT_TRUE(m.flag("is_exclusive"));
  EXPECT_EQ(m.set_values().size(), 1u);
}

TEST(Metadata, takes_every_atf_name_for_its_kyua_name) {
  for (const Property& p : Metadata::properties()) {
    Metadata m;
    const std::string value = p.type == PropertyType::Flag      ? "true"
                              : p.type == PropertyType::Seconds ? "17"
                              : p.type == PropertyType::User    ? "root"
                              : p.type == PropertyType::Size    ? "2.00K"
                                                                : "/x";
    ASSERT_TRUE(m.set_atf(p.atf_name, value)) << p.atf_name;
    EXPECT_EQ(m.get(p.name), value) << p.name;
  }
}

TEST(Metadata, keeps_custom_properties_under_both_spellings) {
  Metadata m;
  ASSERT_TRUE(m.set_atf("X-A-b", "v"));
  EXPECT_EQ(m.get("custom.A-b"), "v");
  EXPECT_FALSE(m.set("custom.", "v"));
}

TEST(Metadata, refuses_in_kyuas_words) {
  Metadata m;
  EXPECT_EQ(error_of(m.set("foo", "1")), "Unknown metadata property foo");
  EXPECT_EQ(error_of(m.set_atf("foo", "1")), "Unknown test case metadata property 'foo'");
  EXPECT_EQ(error_of(m.set("timeout", "abc")),
            "Invalid value for property 'timeout': Invalid time delta abc");
  EXPECT_EQ(error_of(m.set("is_exclusive", "maybe")),
            "Invalid value for property 'is_exclusive': Failed to convert string value 'maybe' to "
            "the node's type");
  EXPECT_EQ(error_of(m.set("required_user", "me")),
            "Invalid value for property 'required_user': Invalid required user value");
  EXPECT_EQ(error_of(m.set("required_programs", "a/b")),
            "Invalid value for property 'required_programs': Relative path 'a/b' not allowed");
  EXPECT_EQ(error_of(m.set("required_files", "a/b")),
            "Invalid value for property 'required_files': Relative path 'a/b' not allowed");
  EXPECT_FALSE(m.set("required_memory", ".5K"));
  EXPECT_FALSE(m.set("required_memory", "9000000000000000000"));  // Shown, it would be more.
  EXPECT_FALSE(m.set("timeout", "-1"));
  EXPECT_TRUE(m.set_values().empty());
}

TEST(Metadata, lays_a_cases_values_over_its_programs_without_merging_sets) {
  Metadata program, test_case;
  ASSERT_TRUE(program.set("required_programs", "b a"));
  ASSERT_TRUE(program.set("timeout", "5"));
  ASSERT_TRUE(test_case.set("required_programs", "c"));
  const Metadata merged = program.under(test_case);
  EXPECT_EQ(program.get("required_programs"), "a b");
  EXPECT_EQ(merged.get("required_programs"), "c");
  EXPECT_EQ(merged.timeout(), 5s);
}

TEST(Metadata, has_no_limit_when_the_timeout_is_zero) {
  Metadata m;
  ASSERT_TRUE(m.set("timeout", "0"));
  EXPECT_EQ(m.timeout(), std::nullopt);
}

TEST(Text, prints_and_parses_sizes_as_kyua_does) {
  EXPECT_EQ(format_size(Bytes(1023)), "1023");
  EXPECT_EQ(format_size(Bytes(1024)), "1.00K");
  EXPECT_EQ(format_size(Bytes(900) * (int64_t{1} << 40)), "900.00T");
  EXPECT_EQ(*parse_size("1.5k"), Bytes(1536));
  for (const char* bad : {"", "K", "5.", "5.K", ".5", "1X", "-1", "1 K", "1e3"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
}

TEST(Text, shows_times_in_utc_with_microseconds) {
  EXPECT_EQ(to_iso8601({1763767155287331}), "2025-11-21T23:19:15.287331Z");
  EXPECT_EQ(to_compact({1763767155000001}), "20251121-231915-000001");
  EXPECT_EQ(to_seconds_text(71ms), "0.071s");
  EXPECT_EQ(to_seconds_text(61s + 499us), "61.000s");
  EXPECT_EQ(to_seconds_text(61s + 500us), "61.001s");
}

TEST(Text, makes_paths_absolute_by_name) {
  EXPECT_EQ(absolute_path("b/../c", "/a"), "/a/c");
  EXPECT_EQ(absolute_path("../../../x", "/a"), "/x");
  EXPECT_EQ(branch_path("/a"), "/");
  EXPECT_EQ(branch_path("a"), ".");
  EXPECT_EQ(leaf_name("/a/b/"), "b");
}

}  // namespace
}  // namespace wh::kyua
