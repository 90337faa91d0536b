// One line that shows how far a job is, on a terminal only.
#pragma once

#include <chrono>
#include <string_view>

namespace wh::host {

// Written to standard error when that is a terminal, at most ten times a second, and only once a
// second has passed: a short job shows nothing.
class ProgressLine {
 public:
  explicit ProgressLine(bool quiet);
  ~ProgressLine() { clear(); }
  // `share` of the job is done, 0 to 1. `text()` is asked for only when it is to be seen, so that
  // this may be called for every step, however small.
  void show(const auto& text, double share) {
    if (is_due()) draw(text(), share);
  }
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool is_due();
  void draw(std::string_view text, double share);
  bool enabled_;
  bool shown_ = false;
  Clock::time_point started_, last_;
};

}  // namespace wh::host
