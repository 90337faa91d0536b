// Test clients of a wheel: they write down when they are called and may be told what to do then.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "pacing/hpts.h"

namespace wh::pacing {

class Recorder final : public HptsClient {
 public:
  using Log = std::vector<std::string>;
  explicit Recorder(Loop& loop, std::string name = "", Log* log = nullptr)
      : loop_(loop), name_(std::move(name)), log_(log) {}

  std::function<void(Recorder&)> then;  // Done at the end of each call.
  int calls = 0;
  Instant called_at{};
  Duration delayed_by{};

 private:
  void hpts_output(Duration late) override {
    ++calls;
    called_at = loop_.clock();
    delayed_by = late;
    take_hpts_calls();
    if (log_ != nullptr) log_->push_back(name_);
    if (then) then(*this);
  }

  Loop& loop_;
  std::string name_;
  Log* log_;
};

// Clients that wait far ahead, to bring a wheel to a number of connections.
class Crowd {
 public:
  Crowd(Loop& loop, Hpts& hpts, size_t size, Duration delay = 900ms) {
    for (size_t i = 0; i < size; ++i) {
      members_.push_back(std::make_unique<Recorder>(loop));
      hpts.insert(*members_.back(), delay);
    }
  }
  Recorder& operator[](size_t i) { return *members_[i]; }

 private:
  std::vector<std::unique_ptr<Recorder>> members_;
};

}  // namespace wh::pacing
