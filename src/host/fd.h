// An owned file descriptor: closed when its owner goes, moved but never copied.
//
// Empty when default-constructed or moved from. Who takes an int borrows it; who takes an Fd owns
// it.
#pragma once

#include <unistd.h>

#include <utility>

namespace wh::host {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int raw) : raw_(raw) {}
  Fd(Fd&& o) noexcept : raw_(std::exchange(o.raw_, kNone)) {}
  Fd& operator=(Fd&& o) noexcept {
    std::swap(raw_, o.raw_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { close(); }

  int raw() const { return raw_; }
  explicit operator bool() const { return raw_ != kNone; }
  // Linux frees the number even when close() reports an error, so it is never tried twice.
  void close() {
    if (raw_ != kNone) ::close(std::exchange(raw_, kNone));
  }
  int release() { return std::exchange(raw_, kNone); }

 private:
  static constexpr int kNone = -1;
  int raw_ = kNone;
};

}  // namespace wh::host
