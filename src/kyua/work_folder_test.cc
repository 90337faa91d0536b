// Removing what tests leave.
#include "kyua/work_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "host/system.h"

namespace wh::kyua {
namespace {

TEST(WorkFolder, removes_a_tree_deeper_than_there_are_descriptors) {
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit few{std::min<rlim_t>(files.rlim_max, 256), files.rlim_max};
  std::string name = testing::TempDir() + "deep." + std::string(6, 'X');
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  ASSERT_TRUE(host::write_file(name + "/deep.1", ""));  // A name that is taken.
  host::Fd at = *host::open_file(name, O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(::mkdirat(at.raw(), "d", 0755), 0);
    const host::Fd file(::openat(at.raw(), "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    at = host::Fd(::openat(at.raw(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at);
  }
  at.close();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto removed = remove_tree(name);
  ::setrlimit(RLIMIT_NOFILE, &files);
  EXPECT_TRUE(removed) << removed.error().text.substr(0, 200);
  EXPECT_FALSE(std::filesystem::exists(name));
}

}  // namespace
}  // namespace wh::kyua
