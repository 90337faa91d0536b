#include "pacing/hpts_group.h"

#include <algorithm>

namespace wh::pacing {

HptsGroup::HptsGroup(Loop& loop, HptsBooks& books, uint32_t wheels, Random random)
    : books_(books), random_(random) {
  CHECK(wheels > 0);
  for (uint32_t i = 0; i < wheels; ++i) wheels_.push_back(std::make_unique<Hpts>(loop, books));
}

Hpts& HptsGroup::tcp_set_hpts(HptsClient& client, std::optional<uint32_t> flowid) {
  if (client.wheel_is_final_ || client.in_hpts()) return *client.hpts_;
  if (flowid) {
    ++books_.counters.cpusel_flowid;
    client.hpts_ = wheels_[*flowid % size()].get();
    client.wheel_is_final_ = true;
  } else if (client.hpts_ == nullptr) {
    ++books_.counters.cpusel_random;
    client.hpts_ = wheels_[random_.below(size())].get();
  }
  return *client.hpts_;
}

void HptsGroup::insert(HptsClient& client, Duration delay) {
  tcp_set_hpts(client, std::nullopt).insert(client, delay);
}

void HptsGroup::softclock(uint32_t cpu) {
  const auto is_busy = [](const auto& wheel) { return wheel->is_over_thresh(); };
  if (std::none_of(wheels_.begin(), wheels_.end(), is_busy)) return;
  Hpts* oldest = wheels_[cpu % size()].get();
  for (const auto& wheel : wheels_) {
    if (wheel->last_run() < oldest->last_run()) oldest = wheel.get();
  }
  oldest->soft_run();
}

}  // namespace wh::pacing
