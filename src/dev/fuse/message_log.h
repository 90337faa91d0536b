// The last of what a kernel said, for whoever asks later (dmesg).
#pragma once

#include <mutex>
#include <string>

namespace wh::dev {

class MessageLog {
 public:
  static constexpr size_t kLimit = 12000;  // Bytes; the oldest lines go first, and are counted.

  void add(const std::string& text) {
    const std::lock_guard guard(mutex_);
    text_ += text;
    while (text_.size() > kLimit) {
      const size_t line = text_.find('\n');
      text_.erase(0, line == std::string::npos ? text_.size() - kLimit : line + 1);
      ++forgotten_;
    }
  }
  std::string text() const {
    const std::lock_guard guard(mutex_);
    return text_;
  }
  uint64_t forgotten() const {
    const std::lock_guard guard(mutex_);
    return forgotten_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
  uint64_t forgotten_ = 0;
};

}  // namespace wh::dev
