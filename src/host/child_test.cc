#include "host/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "host/system.h"

namespace wh::host {
namespace {

bool is_alive(pid_t pid) {
  // A zombie whose parent has not waited for it counts as dead.
  const auto status = read_file(fmt::format("/proc/{}/stat", pid));
  return status && status->find(") Z ") == std::string::npos;
}

// Waits until the process is gone; false after 10 seconds.
bool dies(pid_t pid) {
  for (int i = 0; i < 10000; ++i) {
    if (!is_alive(pid)) return true;
    ::usleep(1000);
  }
  return false;
}

TEST(Child, returns_the_functions_value_as_exit_status) {
  auto child = Child::run({.name = "seven"}, [] { return 7; });
  ASSERT_TRUE(child) << child.error().text;
  const ExitStatus status = child->wait();
  EXPECT_EQ(status, (ExitStatus{.code = 7}));
  EXPECT_EQ(to_string(status), "exit status 7");
  EXPECT_FALSE(child->is_running());
  EXPECT_EQ(child->wait(), status);
}

TEST(Child, killed_child_says_by_which_signal) {
  auto child = Child::run({.name = "sleeper"}, [] { return ::pause(); });
  ASSERT_TRUE(child) << child.error().text;
  EXPECT_TRUE(child->is_running());
  child->kill(SIGTERM);
  EXPECT_EQ(to_string(child->wait()), "killed by signal 15 (Terminated)");
}

TEST(Child, dies_with_its_owner_object) {
  pid_t pid = 0;
  {
    auto child = Child::run({.name = "sleeper"}, [] { return ::pause(); });
    ASSERT_TRUE(child) << child.error().text;
    pid = child->pid();
    EXPECT_TRUE(is_alive(pid));
  }
  EXPECT_FALSE(is_alive(pid));
}

TEST(Child, grandchild_dies_when_its_parent_is_killed) {
  Pipe pipe = MUST(make_pipe());  // A test process has descriptors left.
  auto parent = Child::run({.name = "parent", .keep = {pipe.write_end.raw()}}, [&] {
    auto child = Child::run({.name = "sleeper"}, [] { return ::pause(); });
    if (!child || !write_all(pipe.write_end.raw(), std::to_string(child->pid()))) return 1;
    pipe.write_end.close();
    return ::pause();
  });
  ASSERT_TRUE(parent) << parent.error().text;
  pipe.write_end.close();
  const pid_t grandchild = std::stoi(MUST(read_to_end(pipe.read_end.raw())));  // It was written.
  EXPECT_TRUE(is_alive(grandchild));
  parent->kill(SIGKILL);
  EXPECT_TRUE(dies(grandchild));
}

TEST(Child, keeps_only_the_descriptors_it_is_told_to) {
  Pipe kept = MUST(make_pipe());  // As above.
  Pipe other = MUST(make_pipe());
  auto child = Child::run({.name = "checker", .keep = {kept.write_end.raw()}}, [&] {
    const bool has_kept = ::fcntl(kept.write_end.raw(), F_GETFD) >= 0;
    const bool has_other = ::fcntl(other.write_end.raw(), F_GETFD) >= 0;
    return has_kept && !has_other ? 0 : 1;
  });
  ASSERT_TRUE(child) << child.error().text;
  EXPECT_TRUE(child->wait().is_success());
}

TEST(Child, failed_preparation_is_the_callers_error) {
  auto child = Child::run(
      {.name = "worker", .prepare = [] { return Result<void>(fail("no room at the inn")); }},
      [] { return 0; });
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().text, "start worker: no room at the inn");
}

TEST(Child, one_that_could_not_be_watched_is_ended) {
  // Once before, for UBSan asks a pipe about the memory of a kind of object that it has not seen.
  const std::string refusal =
      fmt::format("start {}: pidfd_open: {}", "sleeper", ::strerror(EMFILE));
  std::vector<Fd> all;  // Of the descriptors that there may be; then two are left, for a pipe.
  rlimit usual;
  ::getrlimit(RLIMIT_NOFILE, &usual);
  const rlimit few{64, usual.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  while (auto made = open_file("/dev/null", O_RDONLY)) all.push_back(std::move(*made));
  all.resize(all.size() - 2);
  const auto child = Child::run({.name = "sleeper"}, [] { return ::pause(); });
  all.clear();
  ::setrlimit(RLIMIT_NOFILE, &usual);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().text, refusal);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "it still runs";
}

TEST(Child, program_gets_arguments_and_redirections) {
  Pipe pipe = MUST(make_pipe());  // As above.
  auto child = Child::run_program({.standard_output = pipe.write_end.raw()},
                                  {"printf", "%s-%s", "one two", "three"});
  ASSERT_TRUE(child) << child.error().text;
  pipe.write_end.close();
  EXPECT_EQ(MUST(read_to_end(pipe.read_end.raw())), "one two-three");  // A pipe can be read.
  EXPECT_TRUE(child->wait().is_success());
}

TEST(Child, program_inherits_kept_descriptors) {
  Pipe pipe = MUST(make_pipe());  // As above.
  auto child =
      Child::run_program({.keep = {pipe.write_end.raw()}},
                         {"sh", "-c", fmt::format("echo here >&{}", pipe.write_end.raw())});
  ASSERT_TRUE(child) << child.error().text;
  pipe.write_end.close();
  EXPECT_EQ(MUST(read_to_end(pipe.read_end.raw())), "here\n");  // As above.
}

TEST(Child, missing_program_is_an_error_with_its_name) {
  auto child = Child::run_program({}, {"no-such-program"});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().code, std::errc::no_such_file_or_directory);
  EXPECT_EQ(child.error().text, "start no-such-program: No such file or directory");
}

TEST(Child, blocked_signals_are_unblocked_in_the_child) {
  auto loop = MUST(RealLoop::make());  // As above.
  auto interrupt = SignalWatch::make(*loop, {SIGTERM}, [](int) {});
  ASSERT_TRUE(interrupt) << interrupt.error().text;
  auto child = Child::run({.name = "sleeper"}, [] { return ::pause(); });
  ASSERT_TRUE(child) << child.error().text;
  child->kill(SIGTERM);
  EXPECT_EQ(child->wait().signal, SIGTERM);
}

TEST(Child, loop_hears_of_the_end_once) {
  auto loop = MUST(RealLoop::make());  // As above.
  auto child = Child::run({.name = "three"}, [] { return 3; });
  ASSERT_TRUE(child) << child.error().text;
  std::vector<ExitStatus> seen;
  ASSERT_TRUE(child->watch(*loop, [&](ExitStatus status) { seen.push_back(status); }));
  EXPECT_TRUE(loop->run());
  EXPECT_EQ(seen, std::vector{ExitStatus{.code = 3}});
}

}  // namespace
}  // namespace wh::host
