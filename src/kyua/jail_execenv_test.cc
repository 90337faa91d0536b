// What a case's jail is called and made of; cli_test.cc runs cases in jails.
#include "kyua/jail_execenv.h"

#include <gtest/gtest.h>

#include "kyua/text.h"

namespace wh::kyua {
namespace {

TEST(JailExecenv, names_and_asks_as_the_article_says) {
  EXPECT_EQ(jail_name("/usr/tests/sys/kern/unix_dgram", "basic"),
            "kyua_usr_tests_sys_kern_unix_dgram_basic");
  const std::string longest = jail_name("/" + std::string(400, 'x'), "case");
  EXPECT_EQ(longest.size(), 255u);
  EXPECT_TRUE(longest.starts_with("kyuaxxx") && longest.ends_with("xxx_case"));
  EXPECT_EQ(join(*jail_words("n", 999'999, "vnet allow.raw_sockets"), " "),
            "name=n children.max=999998 vnet allow.raw_sockets persist");
  EXPECT_EQ(join(*jail_words("n", 0, ""), " "), "name=n children.max=0 persist");
  EXPECT_EQ(*split_params(" a 'b c' d=\"e f\" "), (std::vector<std::string>{"a", "b c", "d=e f"}));
  EXPECT_FALSE(split_params("a 'b"));
}

}  // namespace
}  // namespace wh::kyua
