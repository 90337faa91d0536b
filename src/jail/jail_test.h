// Jails to test with: in a registry of their own, and gone when the test is over.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "jail/jail.h"

namespace wh::jail {

namespace fs = std::filesystem;

// The process namespaces that living processes of the machine are in.
inline std::set<std::string> process_namespaces() {
  std::set<std::string> all;
  for (const auto& process : fs::directory_iterator("/proc")) {
    if (process.path().filename().string().find_first_not_of("0123456789") != std::string::npos)
      continue;
    std::error_code error;
    // A dead one whose parent has not looked yet has no network any more, but a number still.
    if (fs::read_symlink(process.path() / "ns/net", error).empty()) continue;
    all.insert(fs::read_symlink(process.path() / "ns/pid", error).string());
  }
  return all;
}

class JailTest : public testing::Test {
 protected:
  void SetUp() override {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) == 0 ? 0 : 1);
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) GTEST_SKIP() << "no user namespaces here: unshare(2) is refused";
    std::string name = testing::TempDir() + "jails." + std::string(6, 'X');
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    ASSERT_EQ(::chmod(folder_.c_str(), 0777), 0);
    ::setenv("WHEELHOUSE_RUN", (folder_ + "/run").c_str(), 1);
  }
  void TearDown() override {
    if (folder_.empty()) return;
    const auto living = process_namespaces();
    for (const std::string& made : made_) {
      EXPECT_FALSE(living.contains(made)) << made << " was left behind";
    }
    std::error_code ignored;
    if (fs::exists(folder_ + "/run/jails")) {
      EXPECT_TRUE(fs::is_empty(folder_ + "/run/jails"));
    }
    fs::remove_all(folder_, ignored);
    ::unsetenv("WHEELHOUSE_RUN");
  }

  Result<Jail> make(const std::vector<std::string>& words, bool dies_with_maker = true) {
    auto registry = TRY(Registry::open());
    Jail jail = TRY(Jail::create(registry, TRY(parse_params(words)), {dies_with_maker}));
    std::error_code error;
    made_.insert(fs::read_symlink(fmt::format("/proc/{}/ns/pid", jail.init()), error).string());
    return jail;
  }
  // Runs a check inside and yields its exit status.
  static int inside(const Jail& jail, const std::function<int()>& check) {
    const auto pid = jail.start([&] { ::_exit(check()); });
    EXPECT_TRUE(pid) << pid.error().text;
    int status = 0;
    if (!pid || ::waitpid(*pid, &status, 0) != *pid) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string folder_;
  std::set<std::string> made_;  // Process namespaces of this test's jails.
};

}  // namespace wh::jail
