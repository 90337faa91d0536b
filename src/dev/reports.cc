#include "dev/reports.h"

namespace wh::dev {

const char* to_string(Misdeed misdeed) {
  static constexpr const char* kNames[] = {"lock-held-on-return",
                                           "lock-not-held",
                                           "lock-uninitialised",
                                           "lock-recursed",
                                           "lock-destroyed-held",
                                           "mutex-held-asleep",
                                           "bad-free",
                                           "wrong-type",
                                           "overrun",
                                           "leak",
                                           "device-outlived-driver",
                                           "double-destroy",
                                           "name-exists",
                                           "knotes-left",
                                           "signal-ignored",
                                           "panic",
                                           "threw",
                                           "bad-return",
                                           "no-memory"};
  static_assert(std::size(kNames) == static_cast<size_t>(Misdeed::kCount));
  return kNames[static_cast<size_t>(misdeed)];
}

void Reports::print(const std::string& text) {
  if (console_) console_(text);
}

void Reports::blame(Misdeed misdeed, const std::string& text) {
  counts_[static_cast<size_t>(misdeed)].fetch_add(1);
  print(fmt::format("driver fault: {}: {}\n", to_string(misdeed), text));
  if (listener_) listener_(misdeed, text);
}

uint64_t Reports::total() const {
  uint64_t sum = 0;
  for (const auto& n : counts_) sum += n.load();
  return sum;
}

}  // namespace wh::dev
