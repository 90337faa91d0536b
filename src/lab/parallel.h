// Several pieces of work at once, each on a thread of its own: an experiment is one thread, and a
// sweep or a repetition is as many experiments as there are cores.
#pragma once

#include <cstddef>
#include <functional>

namespace wh::lab {

// As many as there are cores.
unsigned default_jobs();

// Calls work(0) ... work(n - 1), at most `jobs` at a time (fewer where the machine allows no more
// threads), each once, in ascending order of their beginnings; returns when all have returned.
// `meanwhile` is called on the calling thread about ten times a second. With one job, or no thread
// allowed, everything runs on the calling thread, and `meanwhile` is not called. `work` must not
// throw.
void run_parallel(size_t n, unsigned jobs, const std::function<void(size_t)>& work,
                  const std::function<void()>& meanwhile);

}  // namespace wh::lab
