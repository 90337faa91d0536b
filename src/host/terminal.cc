#include "host/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace wh::host {

ProgressLine::ProgressLine(bool quiet)
    : enabled_(!quiet && ::isatty(STDERR_FILENO) == 1), started_(Clock::now()), last_(started_) {}

bool ProgressLine::is_due() {
  if (!enabled_) return false;
  const auto now = Clock::now();
  using namespace std::chrono_literals;
  if (now - started_ < 1s || now - last_ < 100ms) return false;
  last_ = now;
  return true;
}

void ProgressLine::draw(std::string_view text, double share) {
  constexpr int kWidth = 30;
  const int filled = std::clamp(static_cast<int>(share * kWidth), 0, kWidth);
  fmt::print(stderr, "\r\033[K[{}{}] {}", std::string(static_cast<size_t>(filled), '#'),
             std::string(static_cast<size_t>(kWidth - filled), '.'), text);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace wh::host
