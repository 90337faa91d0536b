#include "host/output_file.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "host/interrupt.h"
#include "host/system.h"

namespace wh::host {
namespace {

class OutputFileTest : public ::testing::Test {
 protected:
  OutputFileTest() {
    char name[] = "/tmp/wh-output-XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  ~OutputFileTest() override { std::filesystem::remove_all(dir_); }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(dir_), {}));
  }
  std::filesystem::path dir_;
};

TEST_F(OutputFileTest, finish_replaces_the_file_whole) {
  const std::string path = dir_ / "out.json";
  {
    auto file = OutputFile::create(path).value();
    ASSERT_TRUE(file.finish("first").has_value());
  }
  {
    auto file = OutputFile::create(path).value();
    EXPECT_EQ(read_file(path).value(), "first");  // Until the new one is whole.
    ASSERT_TRUE(file.finish("second").has_value());
  }
  EXPECT_EQ(read_file(path).value(), "second");
  EXPECT_EQ(files(), 1u);
}

// From now on no file of this process reaches its disk.
void break_disks() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{std::size(program), program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    ::_exit(77);
  }
}

// Else a power cut might leave the new name, and nothing behind it.
TEST_F(OutputFileTest, new_file_has_the_name_only_when_it_is_on_the_disk) {
  const std::string path = dir_ / "out.json";
  ASSERT_TRUE(write_file(path, "old"));
  const pid_t child = ::fork();
  if (child == 0) {
    break_disks();
    auto file = OutputFile::create(path).value();
    const auto done = file.finish("new");
    ::_exit(!done && done.error().text.starts_with("write " + path) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "no seccomp here";
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(path).value(), "old");
}

TEST_F(OutputFileTest, who_might_not_read_the_old_one_may_not_read_the_new_one) {
  const auto path = dir_ / "out.json";
  ASSERT_TRUE(write_file(path, "old"));
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  auto file = OutputFile::create(path).value();
  ASSERT_TRUE(file.finish("new").has_value());
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_read);
  EXPECT_EQ(read_file(path).value(), "new");
}

TEST_F(OutputFileTest, the_new_one_belongs_to_whom_the_old_one_did) {
  const std::string path = dir_ / "out.json";
  ASSERT_TRUE(write_file(path, "old"));
  if (::chown(path.c_str(), 12'345, 12'346) != 0) GTEST_SKIP() << "may not give files to others";
  auto file = OutputFile::create(path).value();
  ASSERT_TRUE(file.finish("new").has_value());
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 12'345u);
  EXPECT_EQ(status.st_gid, 12'346u);
}

TEST_F(OutputFileTest, without_finish_nothing_changes_and_nothing_is_left) {
  { auto file = OutputFile::create(dir_ / "out.json").value(); }
  EXPECT_EQ(files(), 0u);
}

TEST_F(OutputFileTest, a_symbolic_link_stays_one) {
  ASSERT_TRUE(write_file(dir_ / "there.conf", "old"));
  for (const std::string& target : {std::string("there.conf"), (dir_ / "new.conf").string()}) {
    std::filesystem::create_symlink(target, dir_ / "first");
    std::filesystem::create_symlink("first", dir_ / "link");
    auto file = OutputFile::create(dir_ / "link").value();
    ASSERT_TRUE(file.finish("new").has_value());
    EXPECT_TRUE(std::filesystem::is_symlink(dir_ / "link"));
    EXPECT_EQ(read_file(dir_ / target).value(), "new");
    std::filesystem::remove(dir_ / "link");
    std::filesystem::remove(dir_ / "first");
  }
}

TEST_F(OutputFileTest, a_bad_path_is_known_at_once) {
  const auto file = OutputFile::create(dir_ / "no" / "such" / "folder.json");
  ASSERT_FALSE(file.has_value());
  EXPECT_NE(file.error().text.find("No such file or directory"), std::string::npos);
}

TEST_F(OutputFileTest, a_full_disk_is_an_error_that_names_the_file) {
  auto file = OutputFile::create("/dev/full").value();
  const auto written = file.finish("text");
  ASSERT_FALSE(written.has_value());
  EXPECT_NE(written.error().text.find("/dev/full"), std::string::npos);
  EXPECT_NE(written.error().text.find("No space left"), std::string::npos);
}

TEST_F(OutputFileTest, lines_are_written_as_they_gather_and_at_the_end) {
  const std::string path = dir_ / "log.jsonl", line = std::string(99, 'x') + "\n";
  auto file = LineFile::create(path).value();
  for (int i = 0; i < 1000; ++i) file->append(line);
  const size_t before = std::filesystem::file_size(path);
  EXPECT_GT(before, 50'000u);
  EXPECT_LT(before, 100'000u);
  ASSERT_TRUE(file->close().has_value());
  EXPECT_EQ(std::filesystem::file_size(path), 100'000u);
}

TEST_F(OutputFileTest, lines_that_find_a_full_disk_are_an_error_that_names_the_file) {
  auto file = LineFile::create("/dev/full").value();
  for (int i = 0; i < 100'000; ++i) file->append("a line\n");
  const auto written = file->close();
  ASSERT_FALSE(written.has_value());
  EXPECT_NE(written.error().text.find("/dev/full"), std::string::npos);
  EXPECT_NE(written.error().text.find("No space left"), std::string::npos);
}

TEST(InterruptGuard, first_signal_stops_and_the_old_handlers_come_back) {
  volatile std::sig_atomic_t old_calls = 0;
  static volatile std::sig_atomic_t* seen = nullptr;
  seen = &old_calls;
  struct sigaction action = {};
  action.sa_handler = [](int) { *seen = *seen + 1; };
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
  volatile std::sig_atomic_t stops = 0;
  {
    InterruptGuard guard([&] { stops = stops + 1; });
    std::raise(SIGTERM);
    EXPECT_EQ(stops, 1);
    EXPECT_EQ(old_calls, 0);
    std::raise(SIGINT);
    EXPECT_EQ(stops, 1);
    EXPECT_EQ(old_calls, 1);
  }
  std::raise(SIGTERM);
  EXPECT_EQ(old_calls, 2);
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
}

}  // namespace
}  // namespace wh::host
