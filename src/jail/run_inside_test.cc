// What a program finds that is run in a jail, and what whoever runs it there is left with.
#include <sys/inotify.h>

#include <array>

#include "host/system.h"
#include "jail/jail_test.h"

namespace wh::jail {
namespace {

TEST_F(JailTest, runs_a_program_where_and_as_whom_it_is_told) {
  if (::geteuid() != 0) GTEST_SKIP() << "another user's jail has one user";
  auto jail = make({"name=j", "exec.clean"});
  ASSERT_TRUE(jail) << jail.error().text;
  const auto run = [&](const std::string& script, const RunOptions& options) {
    return MUST(run_inside(*jail, {"/bin/sh", "-c", script}, options));
  };
  EXPECT_EQ(
      run("test $(pwd) = /tmp && test $(id -u) = 0 && test $HOME = /root", {.folder = "/tmp"}), 0);
  const RunOptions::Account somebody{12345, 12346, "somebody", "/here", "/bin/sh"};
  EXPECT_EQ(run("test $(id -u) = 12345 && test \"$(id -G)\" = 12346 && test $HOME$USER = "
                "/heresomebody",
                {.account = somebody}),
            0);
  EXPECT_EQ(run("test $(id -un) = nobody", {.user = "nobody"}), 0);
  EXPECT_EQ(run("true", {.user = "no-such-user"}), 126);
  EXPECT_EQ(run("true", {.folder = "/no/such"}), 126);
  EXPECT_TRUE(jail->remove());
}

TEST_F(JailTest, leaves_the_environment_of_who_runs_a_program_in_it_alone) {
  auto jail = make({"name=j", "exec.clean"});
  ASSERT_TRUE(jail) << jail.error().text;
  ::setenv("WH_KEPT", "yes", 1);
  EXPECT_EQ(MUST(run_inside(*jail, {"sh", "-c", "test -z \"$WH_KEPT\" && test $USER = root"})), 0);
  EXPECT_STREQ(::getenv("WH_KEPT"), "yes");
  EXPECT_EQ(MUST(run_inside(*jail, {"/no/such"})), 127);
  EXPECT_STREQ(::getenv("WH_KEPT"), "yes");
  ::unsetenv("WH_KEPT");
  EXPECT_TRUE(jail->remove());
}

// A library of the jail's would be run in the memory of whoever enters it.
TEST_F(JailTest, knows_its_users_from_its_passwd_alone) {
  if (::geteuid() != 0) GTEST_SKIP() << "another user's jail has one user";
  const std::string root = folder_ + "/root";
  for (const char* part : {"", "/proc", "/dev", "/etc", "/lib", "/lib64", "/bin", "/usr"}) {
    fs::create_directory(root + part);
  }
  ASSERT_TRUE(host::write_file(root + "/etc/nsswitch.conf", "passwd: whevil files\n"));
  ASSERT_TRUE(host::write_file(root + "/etc/passwd", "joe:x:12345:12345::/:/bin/sh\n"));
  const std::string library = root + "/lib/libnss_whevil.so.2";
  ASSERT_TRUE(host::write_file(library, "no library"));
  const host::Fd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(watch.raw(), library.c_str(), IN_OPEN), 0);
  auto jail = make({"name=j", "path=" + root});
  ASSERT_TRUE(jail) << jail.error().text;
  EXPECT_EQ(MUST(run_inside(*jail, {"/bin/none"}, {.user = "joe"})), 127);
  EXPECT_EQ(MUST(run_inside(*jail, {"/bin/none"}, {.user = "ann"})), 126);
  std::array<char, 4096> events;
  EXPECT_LT(::read(watch.raw(), events.data(), events.size()), 0) << "the library was opened";
  EXPECT_TRUE(jail->remove());
}

}  // namespace
}  // namespace wh::jail
