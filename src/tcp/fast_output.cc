// The fast path: a burst that was cut short leaves a note of what may still be sent, and the next
// call sends that without asking again what the full path asks (what to retransmit, windows, Nagle,
// probes).
//
// The note (the "fast send block") is one number of bytes: where they are is unsent_at_, and the
// headers are prebuilt. It is thrown away by anything that could change the answer: a loss, a
// timer, a smaller window, a shutdown, a change of path. Acknowledgments make it longer, never the
// growth of cwnd.
#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {

void Connection::set_up_fast_send(const Burst& burst) {
  fast_left_ = 0;
  if (burst.segments > 0) ++stack_.counters().nfto_send;
  if (!pacer_.is_on() || stack_.tunables().fast_send == 0 || burst.allowance > 0) return;
  const bool is_plain = state_ == State::Established && recovery_ == Recovery::Open &&
                        !shut_down_ && !receive_.has_islands() && map_.lost() == 0 && !probe_due_;
  if (!is_plain) return;
  const int64_t room = send_cwnd() - int64_t{pipe()};
  const int64_t left = std::min<int64_t>(room, sendable_now());
  if (left >= mss_) fast_left_ = static_cast<uint32_t>(left);
}

bool Connection::send_fast(Burst& burst) {
  if (receive_.has_islands() || has_dsack_ || fast_left_ > unsent() || waits_for_train()) {
    clear_fast_send();
    return false;
  }
  while (fast_left_ >= mss_ && burst.allowance > 0) {
    const uint32_t most = std::min(largest_send(), fast_left_ - fast_left_ % mss_);
    const auto length = static_cast<uint32_t>(std::min<int64_t>(most, burst.allowance));
    const TcpFlags flags = length == unsent() ? net::kTcpAck | net::kTcpPsh : net::kTcpAck;
    sending_fast_ = true;
    const bool was_sent = send_data(snd_max_, length, unsent_at_, flags, false, burst);
    sending_fast_ = false;
    if (!was_sent) {
      clear_fast_send();
      break;
    }
    fast_left_ -= length;
  }
  if (fast_left_ < mss_) clear_fast_send();
  if (burst.wire == 0) return false;
  ++stack_.counters().fto_send;
  return true;
}

// The cumulative acknowledgment moved by `acked`: as much may follow, if both data and the peer's
// window have it.
void Connection::extend_fast_send(uint32_t acked) {
  if (fast_left_ == 0) return;
  if (uint64_t{fast_left_} + acked > sendable_now()) return;
  fast_left_ += acked;
  ++stack_.counters().rfo_extended;
}

}  // namespace wh::tcp
