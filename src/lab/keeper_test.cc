// Who looks at labs, and who makes one, take turns; tests/network brings real ones up.
#include "lab/keeper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "host/system.h"

namespace wh::lab {
namespace {

namespace fs = std::filesystem;

class KeeperTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "labs.XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    run_ = name;
    ::setenv("WHEELHOUSE_RUN", run_.c_str(), 1);
    fs::create_directories(run_ + "/labs");
  }
  void TearDown() override {
    ::unsetenv("WHEELHOUSE_RUN");
    fs::remove_all(run_);
  }
  std::string run_;
};

// A lab in the making has its folder before it has its lock, and for that moment looks dead.
TEST_F(KeeperTest, sweeps_no_lab_that_is_being_made) {
  const std::string labs = run_ + "/labs", made = labs + "/made";
  fs::create_directories(made);
  host::Fd maker = MUST(host::open_file(labs, O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(::flock(maker.raw(), LOCK_EX), 0);
  const pid_t looker = ::fork();
  if (looker == 0) {
    maker.close();  // Or it would hold the lock that it waits for.
    ::_exit(labs_up().has_value() ? 0 : 1);
  }
  int status = 0;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(::waitpid(looker, &status, WNOHANG), 0) << "it did not wait for its turn";
    ::usleep(10'000);
  }
  EXPECT_TRUE(fs::exists(made));
  maker.close();
  ASSERT_EQ(::waitpid(looker, &status, 0), looker);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(fs::exists(made));  // Nobody keeps it.
}

}  // namespace
}  // namespace wh::lab
