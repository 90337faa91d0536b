// A sweep: one lab for every combination of its parameters' values, each several times.
//
//   duration = "60s"
//   [sweep]                          # what varies; in this order, the last fastest
//   rate = ["10Mbps", "40Mbps"]
//   fcc = ["1Mbps", "5Mbps", "0"]
//   connections = { from = 1, to = 9, step = 2 }
//   repeat = 3                       # no parameter: repetitions, with one seed after the other
//   [[link]]
//   from = "sender"
//   to = "receiver"
//   rate = "${rate}"                 # any text of the lab file may name parameters
//   [[flow]]
//   preset = "dgp,fcc=${fcc}"        # as --flow takes it; other keys may follow
//   count = "${connections}"
//
// A sweep's points are numbered: point n is combination n / repeat, repetition n mod repeat.
// Everything is read and checked before the first point runs.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "lab/spec.h"

namespace wh::lab {

struct SweepParameter {
  std::string name;
  std::vector<std::string> values;
};

constexpr size_t kMaxSweepPoints = 1'000'000;

class Sweep {
 public:
  // Errors name the file, the line, and what is accepted; a combination that makes no lab is named.
  static Result<Sweep> parse(std::string_view text, std::string_view where);

  const std::string& text() const { return text_; }  // As it was written.
  const std::vector<SweepParameter>& parameters() const { return parameters_; }
  uint32_t repeat() const { return repeat_; }
  size_t combinations() const;
  size_t points() const { return combinations() * repeat_; }

  // Of a point; in the order of parameters().
  std::vector<std::string> values(size_t point) const;
  uint32_t repetition(size_t point) const { return static_cast<uint32_t>(point % repeat_); }
  Result<LabSpec> lab(size_t point) const;
  // Runs a point to its end: the JSON document of its report, on one line. Errors: as
  // Experiment::make; operation_canceled when `stop` turned true.
  Result<std::string> run(size_t point, const std::atomic<bool>& stop) const;

 private:
  Sweep(std::string text, std::string where) : text_(std::move(text)), where_(std::move(where)) {}
  Result<void> read_parameters();
  Result<void> check_all() const;

  std::string text_, where_;
  std::vector<SweepParameter> parameters_;
  uint32_t repeat_ = 1;
};

}  // namespace wh::lab
