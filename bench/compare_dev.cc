// The in-process device path: a read beside a memcpy under a lock, knotes by the hundred thousand,
// and 64 threads that must all be woken.
//
// usage: compare_dev [OPERATIONS]   of the 64 threads; 10^7 by default. No figure here is a time of
// one machine: each is a ratio, or a count of what went wrong. Goals: a read of 64 bytes at most 2
// times the locked memcpy; each event under 1 us and as cheap among 100,000 knotes as among 1,000;
// no wake-up lost.
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "core/virtual_loop.h"
#include "dev/fuse/shared_object_loader.h"
#include "dev/fuse/thread_machine.h"
#include "dev/kernel.h"
#include "dev/process.h"

namespace wh::dev {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Lab {
  explicit Lab(const char* driver) : kernel(machine, loader, {}) {
    CHECK(kernel.modules().load(driver).has_value());
    process.emplace(kernel);
  }
  ~Lab() {
    process.reset();
    kernel.modules().unload_all();
  }
  ThreadMachine machine;
  SharedObjectLoader loader{{WH_DRIVER_DIR}};
  Kernel kernel;
  std::optional<Process> process;
};

template <class F>
double ns_each(int count, F&& f) {
  const auto begin = Clock::now();
  for (int i = 0; i < count; ++i) f();
  return seconds_since(begin) / count * 1e9;
}

void compare_read() {
  Lab lab("echo_mmap");
  const int fd = lab.process->open("echo", O_RDWR).value();
  // With one thread alone, glibc's locks are no atomic operations; nobody takes a lock then.
  std::atomic<bool> ends{false};
  std::thread other([&] { ends.wait(false); });
  std::byte from[64] = {}, to[64] = {};
  std::mutex mutex;
  std::vector<double> ratios;
  double copy = 0, read = 0;
  for (int round = 0; round < 21; ++round) {
    copy = ns_each(200000, [&] {
      const std::lock_guard guard(mutex);
      std::memcpy(to, from, sizeof to);
      asm volatile("" : : "r"(to) : "memory");
    });
    read = ns_each(200000, [&] { CHECK(lab.process->read(fd, to, 0).value() == sizeof to); });
    ratios.push_back(read / copy);
  }
  ends = true;
  ends.notify_all();
  other.join();
  std::sort(ratios.begin(), ratios.end());
  std::printf(
      "read of 64 bytes       locked memcpy %.1f ns, read %.1f ns: %.2f times (goal: at most 2)\n",
      copy, read, ratios[ratios.size() / 2]);
}

// ---- Knotes: registering and firing, with few and with many.

class Thing final : public event::Selectable {
 public:
  ::knlist list{};
  int kqfilter(::knote& kn) override {
    kn.kn_fop = &kOps;
    kn.kn_hook = this;
    event::list_add(list, kn, event::ListLock::Take);
    return 0;
  }
  static constexpr ::filterops kOps = {1, nullptr,
                                       [](::knote* kn) {
                                         event::list_remove(static_cast<Thing*>(kn->kn_hook)->list,
                                                            *kn, event::ListLock::Take);
                                       },
                                       [](::knote*, long) { return 1; }};
};

struct Things final : event::Descriptors {
  std::shared_ptr<event::Selectable> selectable(uintptr_t ident) override { return all.at(ident); }
  std::vector<std::shared_ptr<Thing>> all;
};

// Measured in rounds, with the memory of those before: what the system takes for pages that it has
// not given yet is its price, not a knote's.
struct Knotes {
  double add_ns, fire_ns;
};
Knotes time_knotes(size_t n) {
  VirtualLoop loop;
  event::LoopMonitor monitor(loop);
  Things things;
  for (size_t i = 0; i < n; ++i) things.all.push_back(std::make_shared<Thing>());
  event::Kqueue queue(monitor, things);
  const auto count = static_cast<double>(n);
  auto begin = Clock::now();
  for (uintptr_t id = 0; id < n; ++id) {
    const ::kevent add = {id, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, nullptr};
    CHECK(queue.kevent({&add, 1}, {}, Duration::zero()).has_value());
  }
  const double add = seconds_since(begin) / count * 1e9;
  std::vector<::kevent> events(256);
  while (queue.kevent({}, events, Duration::zero()).value() != 0) {
  }
  begin = Clock::now();
  for (const auto& thing : things.all) event::list_event(thing->list, 0, event::ListLock::Take);
  size_t seen = 0;
  while (const size_t k = queue.kevent({}, events, Duration::zero()).value()) seen += k;
  CHECK_EQ(seen, n);
  return {add, seconds_since(begin) / count * 1e9};
}

void compare_knotes() {
  ::mallopt(M_TRIM_THRESHOLD, INT_MAX);
  ::mallopt(M_MMAP_THRESHOLD, INT_MAX);
  Knotes few = time_knotes(1000), many = time_knotes(100000);
  for (int i = 0; i < 4; ++i) {
    const Knotes f = time_knotes(1000), m = time_knotes(100000);
    few = {std::min(few.add_ns, f.add_ns), std::min(few.fire_ns, f.fire_ns)};
    many = {std::min(many.add_ns, m.add_ns), std::min(many.fire_ns, m.fire_ns)};
  }
  std::printf(
      "100,000 knotes         registering %.0f ns each (%.2f times 1,000's), "
      "firing %.0f ns each (%.2f times; goal: under 1000 ns)\n",
      many.add_ns, many.add_ns / few.add_ns, many.fire_ns, many.fire_ns / few.fire_ns);
}

// ---- 64 threads: what is written is read, and everybody comes back.

void wake_everybody(uint64_t operations) {
  Lab lab("echo");
  constexpr uint64_t kPairs = 32;
  const uint64_t each = operations / (2 * kPairs);
  std::atomic<uint64_t> done{0}, bytes{0};
  std::vector<std::thread> threads;
  const int keep = lab.process->open("echo", O_RDWR).value();  // A writer to the end: no EOF.
  const auto begin = Clock::now();
  for (uint64_t i = 0; i < 2 * kPairs; ++i) {
    threads.emplace_back([&, writes = i % 2 == 0] {
      const int fd = lab.process->open("echo", O_RDWR).value();
      std::byte b[1] = {std::byte{'w'}};
      for (uint64_t k = 0; k < each; ++k) {
        bytes += writes ? lab.process->write(fd, b).value() : lab.process->read(fd, b).value();
        done.fetch_add(1, std::memory_order_relaxed);
      }
      static_cast<void>(lab.process->close(fd));
    });
  }
  // A lost wake-up shows as nobody getting on.
  uint64_t before = 0;
  for (int idle = 0; done < 2 * kPairs * each;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const uint64_t now = done;
    idle = now == before ? idle + 1 : 0;
    before = now;
    if (idle < 100) continue;
    std::printf("64 threads             stuck after %lu of %lu operations: a wake-up is lost\n",
                static_cast<unsigned long>(now), static_cast<unsigned long>(operations));
    std::_Exit(1);
  }
  for (std::thread& t : threads) t.join();
  static_cast<void>(lab.process->close(keep));
  std::printf(
      "64 threads             %lu operations of a byte, %lu bytes moved, no wake-up lost, "
      "%.2f us each\n",
      static_cast<unsigned long>(done.load()), static_cast<unsigned long>(bytes.load()),
      seconds_since(begin) / static_cast<double>(done.load()) * 1e6);
}

}  // namespace
}  // namespace wh::dev

int main(int argc, char** argv) {
  wh::dev::compare_read();
  wh::dev::compare_knotes();
  std::fflush(stdout);
  wh::dev::wake_everybody(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000);
  return 0;
}
