#include "kyua/calendar.h"

#include <ctime>

namespace wh::kyua {

Calendar::Calendar(Loop& loop) : origin_(loop.clock()) {
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  base_.us = int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace wh::kyua
