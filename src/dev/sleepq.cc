#include "dev/sleepq.h"

namespace wh::dev {

void SleepQueues::enqueue(::thread& td, const void* chan, const char* wmesg) {
  CHECK(td.wchan == nullptr);
  td.wchan = chan;
  td.wmesg = wmesg;
  td.is_woken = false;
  sleepers_.fetch_add(1);
  bucket(chan).push_back(td);
}

SleepQueues::Wake SleepQueues::wait(::thread& td, Instant deadline, bool catches) {
  td.catches_signals = catches;
  Wake result = Wake::Woken;
  while (!td.is_woken) {
    if ((catches && td.has_signal) || (td.sleeps_in_driver && td.is_aborted)) {
      result = Wake::Interrupted;
      break;
    }
    if (deadline != kNever && machine_.now() >= deadline) {
      result = Wake::TimedOut;
      break;
    }
    machine_.park(td, deadline);
  }
  if (td.on_sleepq.is_linked()) {
    td.on_sleepq.unlink();
    sleepers_.fetch_sub(1);
  }
  td.wchan = nullptr;
  td.wmesg = nullptr;
  td.catches_signals = false;
  return result;
}

void SleepQueues::wake(::thread& td) {
  td.on_sleepq.unlink();
  sleepers_.fetch_sub(1);
  td.is_woken = true;
  machine_.unpark(td);
}

void SleepQueues::wakeup(const void* chan, size_t most) {
  Bucket& list = bucket(chan);
  for (::thread* td = list.front(); td != nullptr && most != 0;) {
    ::thread* next = list.next(*td);
    if (td->wchan == chan) {
      wake(*td);
      --most;
    }
    td = next;
  }
}

size_t SleepQueues::wake_lockers(const void* chan) {
  Bucket& list = bucket(chan);
  size_t left = 0;
  bool first = true, sharing = false;
  for (::thread* td = list.front(); td != nullptr;) {
    ::thread* next = list.next(*td);
    if (td->wchan == chan) {
      if (first || (sharing && td->wants_shared)) {
        if (first) sharing = td->wants_shared;
        first = false;
        wake(*td);
      } else {
        ++left;
      }
    }
    td = next;
  }
  return left;
}

void SleepQueues::interrupt(::thread& td) {
  td.has_signal = true;
  if (td.wchan != nullptr && td.catches_signals) machine_.unpark(td);
}

void SleepQueues::abort(::thread& td) {
  td.is_aborted = true;
  if (td.wchan != nullptr && td.sleeps_in_driver) machine_.unpark(td);
}

}  // namespace wh::dev
