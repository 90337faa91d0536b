// wh sweep, for whoever runs its points: threads of this process, or ranks of MPI.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "core/result.h"

namespace wh::apps {

// Runs pieces of work and hands back what came out of each.
class SweepTeam {
 public:
  using Work = std::function<Result<std::string>(size_t point)>;
  // Called on the caller's thread, in the order in which points finish. An error ends the run.
  using Done = std::function<Result<void>(size_t point, const std::string& result)>;

  virtual ~SweepTeam() = default;
  // How many points run at a time.
  virtual unsigned width() const = 0;
  // Does `points`; `idle` is called about ten times a second. When `stop` turns true, what runs is
  // given up. Errors: the first of Work or Done; those of points given up do not count.
  virtual Result<void> run(const std::vector<size_t>& points, const Work& work, const Done& done,
                           const std::function<void()>& idle, std::atomic<bool>& stop) = 0;
  // Others have the same sweep to do: the text that this process read, or the one that it gets.
  // True when this process only helps: it serves until it is told to end.
  virtual bool share(std::string& /*text*/) { return false; }
  virtual void serve(const Work& /*work*/) {}
};

// Threads of this process.
class ThreadTeam final : public SweepTeam {
 public:
  explicit ThreadTeam(unsigned jobs) : jobs_(jobs) {}
  unsigned width() const override { return jobs_; }
  Result<void> run(const std::vector<size_t>& points, const Work& work, const Done& done,
                   const std::function<void()>& idle, std::atomic<bool>& stop) override;

 private:
  unsigned jobs_;
};

// The command, with a team of another kind; null for threads.
int sweep_with(SweepTeam* team, int argc, char** argv);

}  // namespace wh::apps
