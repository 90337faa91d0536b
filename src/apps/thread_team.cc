// Points of a sweep on threads: results come back through one queue, which the caller's thread
// empties.
#include <deque>
#include <mutex>
#include <optional>

#include "apps/sweep.h"
#include "lab/parallel.h"

namespace wh::apps {

Result<void> ThreadTeam::run(const std::vector<size_t>& points, const Work& work, const Done& done,
                             const std::function<void()>& idle, std::atomic<bool>& stop) {
  std::mutex mutex;
  std::deque<std::pair<size_t, Result<std::string>>> finished;
  std::optional<Error> failure;
  auto collect = [&] {
    for (;;) {
      std::unique_lock lock(mutex);
      if (finished.empty()) break;
      auto [point, result] = std::move(finished.front());
      finished.pop_front();
      lock.unlock();
      if (result) {
        if (auto kept = done(point, *result); !kept && !failure) failure = kept.error();
      } else if (result.error().code != std::errc::operation_canceled && !failure) {
        failure = result.error();
      }
      if (failure) stop = true;
    }
    idle();
  };
  const bool is_here = std::min<size_t>(jobs_, points.size()) <= 1;
  lab::run_parallel(
      points.size(), jobs_,
      [&](size_t i) {
        if (stop) return;
        auto result = work(points[i]);
        {
          const std::lock_guard lock(mutex);
          finished.emplace_back(points[i], std::move(result));
        }
        if (is_here) collect();
      },
      collect);
  collect();
  if (failure) return tl::unexpected(*failure);
  return {};
}

}  // namespace wh::apps
