// Threads that share descriptors and queues, and close them under each other's hands, while drivers
// come and go.
#include <gtest/gtest.h>

#include <cerrno>
#include <thread>

#include "core/random.h"
#include "dev/fuse/shared_object_loader.h"
#include "dev/fuse/thread_machine.h"
#include "dev/kernel.h"
#include "dev/process.h"

namespace wh::dev {
namespace {

constexpr int kLastFd = 14;  // Few descriptors, so that threads meet on them.

struct Shared {
  explicit Shared(ModuleLoader& drivers) : kernel(machine, drivers, {}), process(kernel) {}
  ThreadMachine machine;
  Kernel kernel;
  Process process;
  std::atomic<bool> ends{false};
  std::atomic<uint64_t> delivered{0};
};

template <class T, size_t N>
T one_of(Random& random, const T (&values)[N]) {
  return values[random.below(N)];
}

::kevent random_change(Random& random) {
  constexpr unsigned short kActions[] = {EV_ADD, EV_ADD, EV_ADD, EV_DELETE, EV_ENABLE, EV_DISABLE};
  constexpr unsigned short kManners[] = {0, 0, EV_ONESHOT, EV_CLEAR, EV_DISPATCH, EV_RECEIPT};
  constexpr unsigned kUserNotes[] = {NOTE_TRIGGER, NOTE_TRIGGER | NOTE_FFOR | 1, NOTE_FFCOPY | 2,
                                     0};
  constexpr unsigned kTimerNotes[] = {NOTE_USECONDS, NOTE_NSECONDS, 0,
                                      NOTE_USECONDS | NOTE_ABSTIME};
  const auto ident = static_cast<uintptr_t>(3 + random.below(kLastFd - 2));
  const auto flags =
      static_cast<unsigned short>(one_of(random, kActions) | one_of(random, kManners));
  switch (random.below(4)) {
    case 0: return {ident, EVFILT_USER, flags, one_of(random, kUserNotes), 0, nullptr};
    case 1:
      return {ident,
              EVFILT_TIMER,
              flags,
              one_of(random, kTimerNotes),
              static_cast<int64_t>(random.below(200)),
              nullptr};
    case 2: return {ident, EVFILT_WRITE, flags, 0, 0, nullptr};
    default: return {ident, EVFILT_READ, flags, 0, 0, nullptr};
  }
}

// A system call on a descriptor that may be a device, a queue, closed, or on its way to one of
// these.
void call_something(Shared& shared, Random& random) {
  Process& p = shared.process;
  const int fd = 3 + static_cast<int>(random.below(kLastFd - 2));
  std::byte buffer[32] = {};
  switch (random.below(10)) {
    case 0: {
      const auto opened = p.open("echo", O_RDWR | O_NONBLOCK);
      if (opened && *opened > kLastFd) static_cast<void>(p.close(*opened));
      return;
    }
    case 1: {
      const auto made = p.kqueue();
      if (made && *made > kLastFd) static_cast<void>(p.close(*made));
      return;
    }
    case 2: static_cast<void>(p.close(fd)); return;
    case 3: static_cast<void>(p.read(fd, buffer)); return;
    case 4: static_cast<void>(p.write(fd, buffer)); return;
    case 5: {
      ::pollfd both[2] = {{fd, POLLIN | POLLOUT, 0}, {fd == 3 ? 4 : 3, POLLIN, 0}};
      static_cast<void>(p.poll(both, random.one_in(2) ? 0ms : 1ms));
      return;
    }
    default: {
      ::kevent changes[3], events[4];
      for (::kevent& change : changes) change = random_change(random);
      const auto n =
          p.kevent(fd, std::span(changes).first(random.below(4)),
                   std::span(events).first(random.below(5)), random.one_in(4) ? 1ms : 0ms);
      shared.delivered += n.value_or(0);
    }
  }
}

void come_and_go(Shared& shared) {
  Modules& modules = shared.kernel.modules();
  while (!shared.ends) {
    const auto id = modules.load("echo");
    EXPECT_TRUE(id.has_value()) << (id ? "" : id.error().text);
    std::this_thread::sleep_for(3ms);
    while (!modules.unload("echo", Modules::Force::Yes) && !shared.ends) {
      std::this_thread::sleep_for(1ms);
    }
  }
}

TEST(Threads, share_queues_and_close_them_while_drivers_come_and_go) {
  SharedObjectLoader drivers({WH_DRIVER_DIR});
  Shared shared(drivers);
  std::vector<std::thread> threads;
  threads.emplace_back([&] { come_and_go(shared); });
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    threads.emplace_back([&, seed] {
      Random random(seed);
      while (!shared.ends) call_something(shared, random);
    });
  }
  const char* time = std::getenv("WH_STRESS_MS");
  std::this_thread::sleep_for(std::chrono::milliseconds(time != nullptr ? std::atoi(time) : 400));
  shared.ends = true;
  for (std::thread& t : threads) t.join();  // Who waits for what was closed hangs here.
  EXPECT_GT(shared.delivered, 0u);
  for (int fd = 3; fd <= kLastFd; ++fd) static_cast<void>(shared.process.close(fd));
  shared.kernel.modules().unload_all();
  EXPECT_EQ(shared.kernel.reports().total(), 0u);
}

}  // namespace
}  // namespace wh::dev
