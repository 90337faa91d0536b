// The results of a sweep, in an SQLite database that survives any interruption.
//
//   sweep(key, value)                     the sweep's own text, and the version that ran it
//   points(point, repetition, seed, NAME...)   a row for each finished point; a column a parameter
//   flows(point, flow, cc, profile, goodput_bps, ..., rtt_p95_ms, ...)
//   links(point, link, utilization, queue_p95_ms, ..., drops)
//
// A point's rows come in one transaction, so a point is there whole or not at all.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>

#include "host/fd.h"
#include "kyua/store/sqlite.h"
#include "lab/sweep.h"

namespace wh::lab {

class SweepStore {
 public:
  // Makes the database, or opens the one of this sweep. The sweep must outlive it. Until it goes,
  // or the process ends in whatever way, nobody else opens it (flock). Errors: somebody else has it
  // open; it cannot be written; it holds another sweep's results.
  static Result<SweepStore> open(const std::string& path, const Sweep& sweep);

  const std::set<size_t>& finished() const { return finished_; }
  // `report` is what Sweep::run gave. REQUIRES: the point is not finished.
  Result<void> add(size_t point, std::string_view report);

  // One row for each point and flow, in ascending order; a header line first.
  Result<std::string> csv();
  // What a heat map is drawn from, and a table: {"parameters": [...], "rows": [...]}.
  Result<std::string> json();
  // For a terminal: the means over repetitions, a row for each combination and flow; at most
  // `most` rows.
  Result<std::string> table(size_t most);

 private:
  SweepStore(host::Fd lock, kyua::Database db, const Sweep& sweep)
      : lock_(std::move(lock)), db_(std::move(db)), sweep_(&sweep) {}
  Result<bool> is_new();
  Result<void> create();
  Result<void> check_same();

  host::Fd lock_;  // Closed last: a file's locks may go with any descriptor of it.
  kyua::Database db_;
  const Sweep* sweep_;
  std::set<size_t> finished_;
};

}  // namespace wh::lab
