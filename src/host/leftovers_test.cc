// Nothing stays behind, however a process that used this room ends.
#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "host/capabilities.h"
#include "host/netns.h"
#include "host/system.h"
#include "host/tap.h"

namespace wh::host {
namespace {

std::vector<std::string> entries(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory)) names.emplace_back(entry->d_name);
  ::closedir(directory);
  return names;
}

// Whether any process that may be looked at is in the namespace or holds a descriptor of it.
bool is_in_use(uint64_t inode) {
  const std::string wanted = fmt::format("net:[{}]", inode);
  auto points_there = [&](const std::string& path) {
    std::array<char, 256> target{};
    return ::readlink(path.c_str(), target.data(), target.size() - 1) > 0 &&
           target.data() == wanted;
  };
  for (const std::string& pid : entries("/proc")) {
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string process = "/proc/" + pid;
    if (points_there(process + "/ns/net")) return true;
    for (const std::string& fd : entries(process + "/fd")) {
      if (points_there(process + "/fd/" + fd)) return true;
    }
  }
  return false;
}

// Whether `condition` comes true within 10 seconds.
template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    ::usleep(10000);
  }
  return false;
}

TEST(Leftovers, namespace_and_process_inside_go_when_the_owner_is_killed) {
  if (auto can = can_make_netns(); !can) GTEST_SKIP() << "needs a namespace: " << can.error().text;
  Pipe pipe = MUST(make_pipe());  // A test process has descriptors left.
  auto owner = Child::run({.name = "owner", .keep = {pipe.write_end.raw()}}, [&] {
    auto space = Netns::make();
    if (!space) return 1;
    auto inside = space->run({.name = "sleeper"}, [] { return ::pause(); });
    if (!inside) return 2;
    const auto told =
        write_all(pipe.write_end.raw(), fmt::format("{} {}", space->inode(), inside->pid()));
    pipe.write_end.close();
    return told ? ::pause() : 3;
  });
  ASSERT_TRUE(owner) << owner.error().text;
  pipe.write_end.close();
  const std::string told = MUST(read_to_end(pipe.read_end.raw()));  // A pipe can be read.
  uint64_t inode = 0;
  int pid = 0;
  ASSERT_EQ(std::sscanf(told.c_str(), "%lu %d", &inode, &pid), 2) << told;
  EXPECT_TRUE(is_in_use(inode));
  owner->kill(SIGKILL);
  EXPECT_TRUE(eventually([&] { return ::kill(pid, 0) != 0; }));
  EXPECT_TRUE(eventually([&] { return !is_in_use(inode); }));
}

TEST(Leftovers, device_goes_when_its_owner_is_killed) {
  if (auto can = can_use_tap(); !can) GTEST_SKIP() << "needs a TAP device: " << can.error().text;
  const Netns space = MUST(Netns::make());  // Just tried, here and below.
  Rtnetlink kernel = MUST(space.netlink());
  Pipe pipe = MUST(make_pipe());
  auto owner = space.run({.name = "owner", .keep = {pipe.write_end.raw()}}, [&] {
    auto loop = MUST(RealLoop::make());
    net::PacketPool pool;
    auto tap = TapInterface::open({.device = "tap0"}, *loop, pool);
    if (!tap) return 1;
    pipe.write_end.close();
    return ::pause();
  });
  ASSERT_TRUE(owner) << owner.error().text;
  pipe.write_end.close();
  ASSERT_TRUE(read_to_end(pipe.read_end.raw()));  // Closed when the device is there.
  EXPECT_TRUE(kernel.link("tap0"));
  owner->kill(SIGKILL);
  EXPECT_TRUE(eventually([&] { return MUST(kernel.links()).size() == 1; }));
}

TEST(Leftovers, descriptors_of_a_namespace_and_its_device_are_all_closed) {
  if (auto can = can_use_tap(); !can) GTEST_SKIP() << "needs a TAP device: " << can.error().text;
  const auto before = entries("/proc/self/fd").size();
  uint64_t inode = 0;
  {
    auto loop = MUST(RealLoop::make());  // As above.
    net::PacketPool pool;
    const Netns space = MUST(Netns::make());
    auto tap = MUST(TapInterface::open({.device = "tap0"}, space, *loop, pool));
    auto inside = MUST(space.run({.name = "sleeper"}, [] { return ::pause(); }));
    inode = space.inode();
    EXPECT_TRUE(is_in_use(inode));
    EXPECT_GT(entries("/proc/self/fd").size(), before);
  }
  EXPECT_EQ(entries("/proc/self/fd").size(), before);
  EXPECT_FALSE(is_in_use(inode));
}

}  // namespace
}  // namespace wh::host
