#include "lab/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
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
  std::atomic<size_t> next{0};
  const auto work_on = [&] {
    for (size_t i = next++; i < n; i = next++) work(i);
  };
  if (threads <= 1) return work_on();
  std::mutex mutex;
  std::condition_variable ended;
  size_t running = 0;
  std::vector<std::thread> pool;
  std::unique_lock lock(mutex);
  try {
    for (; running < threads; ++running) {
      pool.emplace_back([&] {
        work_on();
        const std::lock_guard own(mutex);
        --running;
        ended.notify_one();
      });
    }
  } catch (const std::system_error&) {  // No more threads are allowed: those that there are do it.
    if (running == 0) return work_on();
  }
  while (!ended.wait_for(lock, 100ms, [&] { return running == 0; })) {
    lock.unlock();
    meanwhile();
    lock.lock();
  }
  lock.unlock();
  for (std::thread& thread : pool) thread.join();
}

}  // namespace wh::lab
