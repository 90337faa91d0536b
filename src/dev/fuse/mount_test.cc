// Real programs' system calls on a mounted devfs, the server in a child process. Skipped where this
// machine has no FUSE.
#include "dev/fuse/mount.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "../../../examples/dev/echo/echodev.h"  // Before dev/kpi.h: it brings Linux's FIONREAD.
#include "dev/fuse/client.h"
#include "dev/fuse/message_log.h"
#include "dev/kldstat.h"
#include "dev/kpi.h"

#ifdef __SANITIZE_THREAD__
// libfuse detaches the threads that it has too many of, so ThreadSanitizer never sees that their
// last read came before the session's descriptor was closed.
extern "C" const char* __tsan_default_suppressions() {
  return "race:libfuse3.so";
}
#endif

namespace wh::dev {
namespace {

std::string read_all(int fd) {
  std::string out;
  char buffer[256];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;) {
    out.append(buffer, static_cast<size_t>(n));
  }
  return out;
}

class OnFuse : public testing::Test {
 protected:
  void SetUp() override {
    if (::access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "no access to /dev/fuse";
    directory_ = testing::TempDir() + "wh-mount-XXXXXX";
    ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
  }
  void TearDown() override {
    if (server_ > 0) {
      ::kill(server_, SIGTERM);
      end();
    }
    ::umount2(directory_.c_str(), MNT_DETACH);  // If a server died of what it was asked.
    ::rmdir(directory_.c_str());
  }

  // Serves in a child, whose exit status is how many stayed in the driver.
  void serve(const std::string& driver) {
    server_ = ::fork();
    if (server_ == 0) {
      auto mount = Mount::make({.directory = directory_,
                                .drivers = {driver},
                                .driver_path = {WH_DRIVER_DIR, WH_BUG_DIR},
                                .grace = 800ms});
      ::_exit(mount ? static_cast<int>((*mount)->run().size()) : 99);
    }
    for (int i = 0; i < 2000 && ::access((directory_ + "/.wh").c_str(), R_OK) != 0; ++i) {
      if (::waitpid(server_, nullptr, WNOHANG) == server_) {
        server_ = -1;
        GTEST_SKIP() << "this machine refuses FUSE mounts";
      }
      ::usleep(2000);
    }
  }
  int end() {
    int status = 0;
    ::waitpid(server_, &status, 0);
    server_ = -1;
    return WEXITSTATUS(status);
  }
  int open(int flags) { return ::open((directory_ + "/echo").c_str(), flags); }

  std::string directory_;
  pid_t server_ = -1;
};

// A test ends where a mount is refused.
#define SERVE(driver) \
  serve(driver);      \
  if (IsSkipped()) return

TEST_F(OnFuse, reads_writes_and_ends_as_a_device_does) {
  SERVE("echo");
  const int writer = open(O_WRONLY);
  ASSERT_GE(writer, 0);
  EXPECT_EQ(::write(writer, "foo\n", 4), 4);
  ::close(writer);
  const int reader = open(O_RDONLY);
  EXPECT_EQ(read_all(reader), "foo\n");
  ::close(reader);
}

TEST_F(OnFuse, nonblocking_at_open_and_by_fcntl) {
  SERVE("echo");
  const int fd = open(O_RDWR | O_NONBLOCK);
  char c = 0;
  EXPECT_EQ(::read(fd, &c, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
  ASSERT_EQ(::fcntl(fd, F_SETFL, 0), 0);
  // Now it would block; an alarm without SA_RESTART ends it.
  struct sigaction action {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &action, nullptr);
  ::itimerval soon{{0, 0}, {0, 100000}};
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  EXPECT_EQ(::read(fd, &c, 1), -1);
  EXPECT_EQ(errno, EINTR);
  ::close(fd);
}

TEST_F(OnFuse, epoll_level_and_edge) {
  SERVE("echo");
  const int fd = open(O_RDWR | O_NONBLOCK);
  for (const uint32_t edge : {0u, static_cast<uint32_t>(EPOLLET)}) {
    const int ep = ::epoll_create1(0);
    ::epoll_event want{EPOLLIN | edge, {}}, got{};
    ASSERT_EQ(::epoll_ctl(ep, EPOLL_CTL_ADD, fd, &want), 0);
    EXPECT_EQ(::epoll_wait(ep, &got, 1, 50), 0);
    std::thread other([&] {
      ::usleep(50000);
      EXPECT_EQ(::write(fd, "x", 1), 1);
    });
    EXPECT_EQ(::epoll_wait(ep, &got, 1, 5000), 1);
    other.join();
    EXPECT_EQ(::epoll_wait(ep, &got, 1, 50), edge != 0 ? 0 : 1);
    char c = 0;
    EXPECT_EQ(::read(fd, &c, 1), 1);
    ::close(ep);
  }
  ::close(fd);
}

// Registered while it is ready, and never asked again by epoll: each edge must still come.
TEST_F(OnFuse, epoll_tells_every_edge_to_who_reads_and_writes_until_eagain) {
  SERVE("echo");
  const int fd = open(O_RDWR | O_NONBLOCK), peer = open(O_RDWR | O_NONBLOCK);
  char bytes[64];
  for (const bool reads : {true, false}) {
    const auto own = [&] { return reads ? ::read(fd, bytes, 5) : ::write(fd, bytes, 5); };
    const auto others = [&] { return reads ? ::write(peer, bytes, 7) : ::read(peer, bytes, 64); };
    EXPECT_GE(reads ? others() : 1, 1);
    const int ep = ::epoll_create1(0);
    ::epoll_event want{(reads ? EPOLLIN : EPOLLOUT) | static_cast<uint32_t>(EPOLLET), {}}, got{};
    ASSERT_EQ(::epoll_ctl(ep, EPOLL_CTL_ADD, fd, &want), 0);
    for (int round = 0; round < 3; ++round) {
      EXPECT_EQ(::epoll_wait(ep, &got, 1, 5000), 1) << reads << round;
      while (own() > 0) {
      }
      EXPECT_EQ(errno, EAGAIN);
      EXPECT_EQ(::epoll_wait(ep, &got, 1, 20), 0) << reads << round;
      EXPECT_GT(others(), 0);
    }
    ::close(ep);
    while (::read(peer, bytes, 64) > 0) {
    }
  }
}

// Only drivers make nodes there, and take them away.
TEST_F(OnFuse, nobody_makes_or_takes_away_a_node) {
  SERVE("echo");
  const std::string there = directory_ + "/echo", other = directory_ + "/other";
  const auto refused = [](int result) { return result == -1 ? errno : 0; };
  EXPECT_EQ(refused(::unlink(there.c_str())), EOPNOTSUPP);
  EXPECT_EQ(refused(::mkdir(other.c_str(), 0755)), EOPNOTSUPP);
  EXPECT_EQ(refused(::symlink("echo", other.c_str())), EOPNOTSUPP);
  EXPECT_EQ(refused(::rename(there.c_str(), other.c_str())), EOPNOTSUPP);
  EXPECT_EQ(refused(::mkfifo(other.c_str(), 0644)), EOPNOTSUPP);
}

TEST_F(OnFuse, ioctls_by_size_and_permission) {
  SERVE("echo");
  const int reader = open(O_RDONLY), both = open(O_RDWR);
  size_t n = 0;
  EXPECT_EQ(::ioctl(reader, ECHODEV_GBUFSIZE, &n), 0);
  EXPECT_EQ(n, 64u);
  n = 80;
  EXPECT_EQ(::ioctl(reader, ECHODEV_SBUFSIZE, &n), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ioctl(both, ECHODEV_SBUFSIZE, &n), 0);
  n = SIZE_MAX;
  EXPECT_EQ(::ioctl(both, ECHODEV_SBUFSIZE, &n), -1);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_EQ(::ioctl(reader, ECHODEV_GBUFSIZE, &n), 0);
  EXPECT_EQ(n, 80u);
  uint32_t small = 0;  // What a 32-bit program's size_t makes of the command.
  EXPECT_EQ(::ioctl(reader, _IOR('E', 100, uint32_t), &small), -1);
  EXPECT_EQ(errno, ENOTTY);
  int room = 0;
  EXPECT_EQ(::ioctl(reader, FIONWRITE, &room), 0);
  EXPECT_EQ(room, 80);
  ::close(reader);
  ::close(both);
}

TEST_F(OnFuse, shared_mapping_is_the_drivers_memory) {
  SERVE("echo_mmap");
  const int fd = open(O_RDWR);
  void* at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED && errno == ENODEV) {
    ::close(fd);
    GTEST_SKIP() << "this Linux maps no file without page cache (before 6.6)";
  }
  ASSERT_NE(at, MAP_FAILED);
  auto* page = static_cast<volatile char*>(at);
  // What is written shows in the mapping, and what is stored there is read.
  ASSERT_EQ(::pwrite(fd, "foo", 3, 0), 3);
  EXPECT_EQ(page[0], 'f');
  page[1] = 'u';
  char got[4] = {};
  EXPECT_EQ(::pread(fd, got, 3, 0), 3);
  EXPECT_STREQ(got, "fuo");
  // Another descriptor's write, and a command's effect, show too.
  const int other = open(O_WRONLY);
  ASSERT_EQ(::pwrite(other, "bar", 3, 0), 3);
  EXPECT_EQ(page[2], 'r');
  ASSERT_EQ(::ioctl(other, ECHODEV_CLEAR), 0);
  EXPECT_EQ(page[0], 0);
  ::close(other);
  // What is stored stays when the mapping and its descriptor have gone.
  page[0] = 'z';
  ::munmap(at, 4096);
  ::close(fd);
  const int reader = open(O_RDONLY);
  EXPECT_EQ(::pread(reader, got, 1, 0), 1);
  EXPECT_EQ(got[0], 'z');
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, reader, 0), MAP_FAILED);
  EXPECT_EQ(errno, EACCES);
  ::close(reader);
}

TEST_F(OnFuse, shows_what_it_counted) {
  SERVE("echo");
  auto client = Client::open(directory_);
  ASSERT_TRUE(client.has_value());
  const auto sums = client->command("sums");
  ASSERT_TRUE(sums.has_value()) << sums.error().text;
  EXPECT_EQ(*sums,
            "        0 requests refused, with 1000 inside drivers\n"
            "        0 files refused, with 62000 of users open\n"
            "        0 knotes refused, with 262144 of users\n"
            "        0 polls answered at once, with 65536 waiting\n"
            "        0 lines of messages forgotten\n");
}

TEST(MessageLog, forgets_the_oldest_lines) {
  MessageLog log;
  log.add("the oldest\n");
  log.add("the next\n");
  log.add(std::string(MessageLog::kLimit - 9, 'x'));
  EXPECT_EQ(log.forgotten(), 1u);
  EXPECT_TRUE(log.text().starts_with("the next\nxxx"));
}

TEST_F(OnFuse, long_answers_come_whole) {
  SERVE("echo");
  auto client = Client::open(directory_);
  ASSERT_TRUE(client.has_value());
  // Seventy files with names of two hundred letters.
  constexpr int kFiles = 70;
  const std::string folder = testing::TempDir() + "wh-quiet-" + std::to_string(::getpid());
  std::filesystem::create_directory(folder);
  for (int i = 0; i < kFiles; ++i) {
    const std::string path = fmt::format("{}/{:a>200}.so", folder, i);
    std::filesystem::copy_file(WH_BUG_DIR "/quiet.so", path);
    const auto done = client->command("kldload " + path);
    ASSERT_TRUE(done.has_value()) << done.error().text;
  }
  const auto answer = client->command("kldstat");
  ASSERT_TRUE(answer.has_value());
  EXPECT_GT(answer->size(), size_t{14000});
  EXPECT_EQ(parse_rows(*answer).size(), size_t{kFiles + 1});
  EXPECT_NE(answer->find(fmt::format("{:a>200}.so\tquiet\n", kFiles - 1)), std::string::npos);
  client->close();
  std::filesystem::remove_all(folder);
}

TEST_F(OnFuse, kqueue_through_the_control_file) {
  SERVE("echo");
  const int fd = open(O_RDWR);
  auto client = Client::open(directory_);
  ASSERT_TRUE(client.has_value());
  const ::kevent add = {Client::descriptor_of(fd).value(), EVFILT_READ, EV_ADD, 0, 0, nullptr};
  ASSERT_TRUE(client->kevent({&add, 1}, {}, Duration::zero()).has_value());
  ::kevent event{};
  EXPECT_EQ(client->kevent({}, {&event, 1}, Duration::zero()).value(), 0u);
  ASSERT_EQ(::write(fd, "xyz", 3), 3);
  EXPECT_EQ(client->kevent({}, {&event, 1}, 5s).value(), 1u);
  EXPECT_EQ(event.data, 3);
  ::close(fd);
  client->close();
}

TEST_F(OnFuse, kqueue_of_a_device_in_a_folder) {
  SERVE("mailbox");
  const std::string file = directory_ + "/mailbox/1";
  const int fd = ::open(file.c_str(), O_RDWR);
  auto client = Client::open_above(file);
  ASSERT_TRUE(client) << client.error().text;
  const ::kevent add = {MUST(Client::descriptor_of(fd)), EVFILT_WRITE, EV_ADD, 0, 0, nullptr};
  ::kevent got{};
  EXPECT_EQ(MUST(client->kevent({&add, 1}, {&got, 1}, 1s)), 1u);
  EXPECT_EQ(got.data, 4);
  client->close();
  ::close(fd);
  EXPECT_FALSE(Client::open_above("/dev/null"));
}

TEST_F(OnFuse, ending_the_server_wakes_whoever_sleeps) {
  SERVE("echo");
  const int fd = open(O_RDWR);
  std::thread reader([&] {
    char c = 0;
    EXPECT_EQ(::read(fd, &c, 1), -1);
    EXPECT_EQ(errno, ENXIO);
  });
  ::usleep(100000);
  ::kill(server_, SIGTERM);
  reader.join();
  ::close(fd);
  EXPECT_EQ(end(), 0);
}

TEST_F(OnFuse, what_a_dead_server_left_can_be_taken_away) {
  EXPECT_EQ(standing_on(directory_), Standing::Nothing);
  SERVE("echo");
  EXPECT_EQ(standing_on(directory_), Standing::Served);
  const int fd = open(O_RDONLY);  // Somebody still has a device open.
  ::kill(server_, SIGKILL);
  end();
  EXPECT_EQ(standing_on(directory_), Standing::Dead);
  const auto gone = take_away_dead(directory_);
  EXPECT_TRUE(gone) << gone.error().text;
  EXPECT_EQ(standing_on(directory_), Standing::Nothing);
  ::close(fd);
}

TEST_F(OnFuse, even_who_sleeps_where_nothing_wakes) {
  SERVE("bug_deaf");
  const int fd = ::open((directory_ + "/deaf").c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  std::thread reader([&] {
    char c = 0;
    EXPECT_EQ(::read(fd, &c, 1), -1);
  });
  ::usleep(100000);
  ::kill(server_, SIGTERM);
  reader.join();
  ::close(fd);
  EXPECT_EQ(end(), 0);
}

TEST_F(OnFuse, a_driver_that_never_returns_is_named_and_left_behind) {
  SERVE("bug_never_returns");
  const int fd = ::open((directory_ + "/stuck").c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  std::thread reader([&] {
    char c = 0;
    EXPECT_EQ(::read(fd, &c, 1), -1);  // ECONNABORTED, when the server has gone.
  });
  ::usleep(100000);
  auto client = Client::open(directory_);
  ASSERT_TRUE(client.has_value());
  const auto answer = client->command("umount");
  ASSERT_FALSE(answer.has_value());
  EXPECT_NE(answer.error().text.find("d_read of stuck, running"), std::string::npos)
      << answer.error().text;
  client->close();
  EXPECT_GT(end(), 0);
  reader.join();
  ::close(fd);
  EXPECT_NE(::access((directory_ + "/.wh").c_str(), R_OK), 0);
}

// ---- Anybody but root

constexpr int kSkip = 77;

// From now on this process is a user for whom /dev/fuse is as distributions have it. Where it is
// root's alone, root opens it, for this process.
bool become_user(const std::string& directory) {
  if (::geteuid() != 0) return ::access("/dev/fuse", R_OK | W_OK) == 0;
  const ::passwd* user = ::getpwnam("nobody");  // fusermount3 wants one with a name.
  if (user == nullptr) return false;
  const std::string node = directory + "-fuse";
  struct stat st {};
  const bool is_ready = ::unshare(CLONE_NEWNS) == 0 &&
                        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                        ::stat("/dev/fuse", &st) == 0 &&
                        ::mknod(node.c_str(), S_IFCHR, st.st_rdev) == 0 &&
                        ::chmod(node.c_str(), 0666) == 0 &&
                        ::mount(node.c_str(), "/dev/fuse", nullptr, MS_BIND, nullptr) == 0;
  ::unlink(node.c_str());
  return is_ready && ::chown(directory.c_str(), user->pw_uid, user->pw_gid) == 0 &&
         ::setgroups(0, nullptr) == 0 && ::setgid(user->pw_gid) == 0 &&
         ::setuid(user->pw_uid) == 0 && ::prctl(PR_SET_DUMPABLE, 1) == 0 &&
         ::access("/dev/fuse", R_OK | W_OK) == 0;
}

// What a user does with a mount of theirs; 0, kSkip, or where it went wrong.
int use_as_user(const std::string& directory) {
  if (!become_user(directory)) return kSkip;
  const pid_t server = ::fork();
  if (server == 0) {
    auto mount =
        Mount::make({.directory = directory, .drivers = {"echo"}, .driver_path = {WH_DRIVER_DIR}});
    if (!mount) std::fprintf(stderr, "%s\n", mount.error().text.c_str());
    ::_exit(mount ? static_cast<int>((*mount)->run().size()) : 99);
  }
  while (::access((directory + "/.wh").c_str(), R_OK) != 0) {
    if (::waitpid(server, nullptr, WNOHANG) == server) return 1;
    ::usleep(2000);
  }
  const std::string echo = directory + "/echo";
  struct stat st {};
  if (::stat(echo.c_str(), &st) != 0 || st.st_uid != ::geteuid()) return 2;
  const int fd = ::open(echo.c_str(), O_RDWR);
  char got[4] = {};
  if (fd < 0 || ::write(fd, "foo", 3) != 3 || ::read(fd, got, 3) != 3) return 3;
  if (std::string(got) != "foo" || ::close(fd) != 0) return 4;
  auto client = Client::open(directory);
  if (!client || !client->command("kldunload echo")) return 5;
  if (::access(echo.c_str(), F_OK) == 0 || !client->command("kldload null")) return 6;
  static_cast<void>(client->command("umount"));
  client->close();
  int status = 0;
  ::waitpid(server, &status, 0);
  return status == 0 ? 0 : 7;
}

TEST_F(OnFuse, works_as_a_user) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(use_as_user(directory_));
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WEXITSTATUS(status) == kSkip) GTEST_SKIP() << "this machine has no /dev/fuse for users";
  EXPECT_EQ(status, 0) << "step " << WEXITSTATUS(status);
}

}  // namespace
}  // namespace wh::dev
