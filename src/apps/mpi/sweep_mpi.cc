// wh-sweep-mpi: wh sweep on the ranks of MPI. `wh sweep` becomes this program when mpirun started
// it, so that wh itself needs no MPI.
//
// Rank 0 reads the sweep, tells its text to the others, hands out points one by one to whoever is
// free, and alone writes results. It computes too, on a second thread, so that n ranks do the work
// of n; MPI is spoken on the first thread only (MPI_THREAD_FUNNELED).
//
//   rank 0 -> rank r   kPoint: a point's number; -1: there is no more
//   rank r -> rank 0   kResult: point, whether it failed, and the text that came out of it
#include <fmt/format.h>
#include <mpi.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "apps/commands.h"
#include "apps/sweep.h"
#include "core/units.h"

namespace wh::apps {
namespace {

constexpr int kPoint = 1, kResult = 2;

struct Outcome {
  int64_t point = -1;
  bool has_failed = false;
  std::string text;
};

Outcome outcome_of(size_t point, Result<std::string> result) {
  if (result) return {static_cast<int64_t>(point), false, std::move(*result)};
  return {static_cast<int64_t>(point), true, std::move(result.error().text)};
}

// The rank's own thread of work: one point at a time.
class Bench {
 public:
  explicit Bench(const SweepTeam::Work& work) : thread_([this, &work] { run(work); }) {}
  ~Bench() {
    give(-1);
    thread_.join();
  }
  void give(int64_t point) {
    const std::lock_guard lock(mutex_);
    asked_ = point;
    changed_.notify_one();
  }
  std::optional<Outcome> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(outcome_, std::nullopt);
  }

 private:
  void run(const SweepTeam::Work& work) {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return asked_.has_value(); });
      const int64_t point = *std::exchange(asked_, std::nullopt);
      lock.unlock();
      if (point < 0) return;
      Outcome outcome = outcome_of(static_cast<size_t>(point), work(static_cast<size_t>(point)));
      lock.lock();
      outcome_ = std::move(outcome);
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<int64_t> asked_;
  std::optional<Outcome> outcome_;
  std::thread thread_;
};

void send(const Outcome& outcome) {
  std::string message = fmt::format("{} {} ", outcome.point, outcome.has_failed ? 1 : 0);
  message += outcome.text;
  MPI_Send(message.data(), static_cast<int>(message.size()), MPI_CHAR, 0, kResult, MPI_COMM_WORLD);
}

// The next result that has come from another rank, and that rank; nothing when none has.
std::optional<std::pair<int, Outcome>> receive() {
  int has_come = 0;
  MPI_Status status;
  MPI_Iprobe(MPI_ANY_SOURCE, kResult, MPI_COMM_WORLD, &has_come, &status);
  if (has_come == 0) return std::nullopt;
  int size = 0;
  MPI_Get_count(&status, MPI_CHAR, &size);
  std::string message(static_cast<size_t>(size), '\0');
  MPI_Recv(message.data(), size, MPI_CHAR, status.MPI_SOURCE, kResult, MPI_COMM_WORLD,
           MPI_STATUS_IGNORE);
  const size_t first = message.find(' '), second = message.find(' ', first + 1);
  return std::pair{status.MPI_SOURCE,
                   Outcome{std::stoll(message.substr(0, first)), message[first + 1] == '1',
                           message.substr(second + 1)}};
}

void send_point(int rank, int64_t point) {
  MPI_Send(&point, 1, MPI_INT64_T, rank, kPoint, MPI_COMM_WORLD);
}

class MpiTeam final : public SweepTeam {
 public:
  MpiTeam() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  bool leads() const { return rank_ == 0; }
  // Ranks still compute what nobody waits for.
  bool is_busy() const { return busy_ > 0; }
  // No more work comes. REQUIRES: leads().
  void dismiss() {
    for (int r = 1; r < size_ && shared_; ++r) send_point(r, -1);
  }

  unsigned width() const override { return static_cast<unsigned>(size_); }
  bool share(std::string& text) override {
    shared_ = true;
    auto length = static_cast<uint64_t>(text.size());
    MPI_Bcast(&length, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    text.resize(length);
    MPI_Bcast(text.data(), static_cast<int>(length), MPI_CHAR, 0, MPI_COMM_WORLD);
    return !leads();
  }
  void serve(const Work& work) override {
    for (;;) {
      int64_t point = -1;
      MPI_Recv(&point, 1, MPI_INT64_T, 0, kPoint, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      if (point < 0) return;
      send(outcome_of(static_cast<size_t>(point), work(static_cast<size_t>(point))));
    }
  }
  Result<void> run(const std::vector<size_t>& points, const Work& work, const Done& done,
                   const std::function<void()>& idle, std::atomic<bool>& stop) override;

 private:
  int rank_ = 0, size_ = 1;
  int busy_ = 0;  // Other ranks at work.
  bool shared_ = false;
};

Result<void> MpiTeam::run(const std::vector<size_t>& points, const Work& work, const Done& done,
                          const std::function<void()>& idle, std::atomic<bool>& stop) {
  std::deque<size_t> left(points.begin(), points.end());
  std::optional<Error> failure;
  bool is_own_busy = false;
  Bench own(work);
  auto hand_out = [&](int rank) {
    if (stop || left.empty()) return;
    const auto point = static_cast<int64_t>(left.front());
    left.pop_front();
    if (rank == 0) {
      own.give(point);
      is_own_busy = true;
    } else {
      send_point(rank, point);
      ++busy_;
    }
  };
  auto keep = [&](const Outcome& o) {
    if (o.has_failed) {
      if (!failure && !stop) failure = Error{std::errc::invalid_argument, o.text};
    } else if (auto kept = done(static_cast<size_t>(o.point), o.text); !kept && !failure) {
      failure = kept.error();
    }
    if (failure) stop = true;
  };
  for (int r = size_ - 1; r >= 0; --r) hand_out(r);
  for (int quiet = 0; is_own_busy || (busy_ > 0 && !stop);) {
    bool did_something = false;
    if (auto got = receive()) {
      --busy_;
      keep(got->second);
      hand_out(got->first);
      did_something = true;
    }
    if (auto got = own.take()) {
      is_own_busy = false;
      keep(*got);
      hand_out(0);
      did_something = true;
    }
    if (did_something || ++quiet % 50 == 0) idle();
    if (!did_something) std::this_thread::sleep_for(2ms);
  }
  if (failure) return tl::unexpected(*failure);
  return {};
}

int main_of_rank(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MpiTeam team;
  const int status = sweep_with(&team, argc, argv);
  if (team.leads()) {
    // Results are kept; what other ranks are at is given up with them.
    if (team.is_busy()) MPI_Abort(MPI_COMM_WORLD, status);
    team.dismiss();
  }
  MPI_Finalize();
  return status;
}

}  // namespace
}  // namespace wh::apps

int main(int argc, char** argv) {
  return wh::apps::main_of_rank(argc, argv);
}
