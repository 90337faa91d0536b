// The conformance suite passes what is right, and finds each seeded bug by the check that is for
// it.
#include "dev/conformance.h"

#include <gtest/gtest.h>

#include "core/result.h"
#include "dev/fuse/shared_object_loader.h"
#include "dev/trial.h"

namespace wh::dev {
namespace {

SharedObjectLoader loader({WH_DRIVER_DIR, WH_BUG_DIR});

std::vector<Finding> run(const std::string& name, const std::string& driver, uint32_t seeds) {
  for (const Check& check : conformance_checks()) {
    if (check.name == name) return run_check(check, loader, driver, 1, seeds);
  }
  ADD_FAILURE() << "no check " << name;
  return {};
}

std::string all(const std::vector<Finding>& findings) {
  std::string out;
  for (const Finding& f : findings) out += fmt::format("  seed {}: {}\n", f.seed, f.text);
  return out;
}

class Passes : public testing::TestWithParam<std::string> {};

TEST_P(Passes, every_check) {
  for (const Check& check : conformance_checks()) {
    const auto findings = run_check(check, loader, GetParam(), 1, 10);
    EXPECT_TRUE(findings.empty()) << check.name << ":\n" << all(findings);
  }
}
INSTANTIATE_TEST_SUITE_P(Drivers, Passes,
                         testing::Values("echo", "echo_instances", "echo_mmap", "null", "zero",
                                         "random", "md", "tap", "template", "mailbox", "picky",
                                         "units"),
                         [](const auto& which) { return which.param; });

// In these seeds a reader of a crowd sleeps for want of a writer more than three times.
TEST(Suite, blames_nobody_who_sleeps_again_and_again_by_right) {
  const Check* race = nullptr;
  for (const Check& check : conformance_checks()) {
    if (check.name == std::string_view("race")) race = &check;
  }
  ASSERT_NE(race, nullptr);
  for (const uint64_t seed : {1027u, 1333u}) {
    const auto findings = run_check(*race, loader, "echo", seed, 1);
    EXPECT_TRUE(findings.empty()) << all(findings);
  }
}

struct Bug {
  const char* driver;
  const char* check;
  const char* text;  // A part of the finding.
};
void PrintTo(const Bug& bug, std::ostream* out) {
  *out << bug.driver;
}

class Finds : public testing::TestWithParam<Bug> {};

TEST_P(Finds, the_bug) {
  const Bug& bug = GetParam();
  const auto findings = run(bug.check, bug.driver, 50);
  EXPECT_NE(all(findings).find(bug.text), std::string::npos)
      << bug.driver << " passes the check \"" << bug.check << "\":\n"
      << all(findings);
}
INSTANTIATE_TEST_SUITE_P(
    Bugs, Finds,
    testing::Values(
        Bug{"echo_softc_bug", "load", "device-outlived-driver"},  // Part 1's.
        Bug{"echo_blocking", "unload", "waits for others"},       // Part 2's.
        Bug{"bug_leak", "load", "leak"}, Bug{"bug_no_selwakeup", "wakeup", "no selwakeup?"},
        Bug{"bug_no_wakeup", "wakeup", "no wakeup?"}, Bug{"bug_no_knote", "wakeup", "no KNOTE?"},
        Bug{"bug_no_pcatch", "signal", "no PCATCH?"},
        Bug{"bug_nonblock", "nonblock", "d_read with O_NONBLOCK does not return"},
        Bug{"bug_lock_kept", "poll", "lock-held-on-return"},
        Bug{"bug_off_by_one", "ioctl", "overrun"}, Bug{"bug_lost_wakeup", "wakeup", "no wakeup?"},
        Bug{"bug_bad_errno", "ioctl", "bad-return"},
        Bug{"bug_no_checkname", "names", "name-exists"}, Bug{"bug_throws", "transfer", "threw"},
        Bug{"bug_deaf", "signal", "no PCATCH?"},
        Bug{"bug_no_trackclose", "open", "no D_TRACKCLOSE?"},
        Bug{"bug_silent_close", "wakeup", "since its last writer has closed: no wakeup?"},
        Bug{"bug_wakes_one", "wakeup", "for several: no wakeup?"},
        Bug{"bug_empty_is_end", "poll", "read finds the end"},
        Bug{"bug_mutex", "transfer", "mutex-held-asleep"},
        Bug{"bug_wide_ioctl", "ioctl", "overrun: d_ioctl"},
        Bug{"bug_fionread", "poll", "FIONREAD says 0, read gets 64"},
        Bug{"bug_half_poll", "poll", "only one of POLLIN and POLLRDNORM"},
        Bug{"bug_grow_leak", "ioctl", "leak"}),
    [](const auto& which) { return std::string(which.param.driver); });

TEST(Trial, injected_faults_replay_from_their_seed) {
  const auto findings_of = [](uint64_t seed) {
    Trial trial(loader, {"echo", seed, 3, {0.5, 0.5, 0.1, 0.5}});
    static_cast<void>(trial.load());
    std::string out;
    trial.must("use", [&] {
      const int fd = trial.process().open("echo", O_RDWR).value();
      for (int i = 0; i < 20; ++i) {
        std::byte b[30] = {};
        const auto n = trial.process().write(fd, b);
        out += n ? fmt::format("{} ", *n) : fmt::format("e{} ", static_cast<int>(n.error()));
        static_cast<void>(trial.process().read(fd, b));
      }
    });
    trial.end();
    return out;
  };
  EXPECT_EQ(findings_of(7), findings_of(7));
  EXPECT_NE(findings_of(7), findings_of(8));
  EXPECT_NE(findings_of(7).find(fmt::format("e{} ", EFAULT)), std::string::npos);
}

}  // namespace
}  // namespace wh::dev
