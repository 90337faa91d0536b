#include "lab/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "core/units.h"

namespace wh::lab {

unsigned default_jobs() {
  return std::max(1u, std::thread::hardware_concurrency());
}

void run_parallel(size_t n, unsigned jobs, const std::function<void(size_t)>& work,
                  const std::function<void()>& meanwhile) {
  const size_t threads = std::min<size_t>(n, jobs);
  if (threads <= 1) {
    for (size_t i = 0; i < n; ++i) work(i);
    return;
  }
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::condition_variable ended;
  size_t running = threads;
  std::vector<std::thread> pool;
  for (size_t t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      for (size_t i = next++; i < n; i = next++) work(i);
      const std::lock_guard lock(mutex);
      --running;
      ended.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  while (!ended.wait_for(lock, 100ms, [&] { return running == 0; })) {
    lock.unlock();
    meanwhile();
    lock.lock();
  }
  lock.unlock();
  for (std::thread& thread : pool) thread.join();
}

}  // namespace wh::lab
