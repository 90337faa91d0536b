#include "net/link/rate_transmitter.h"

#include <algorithm>

namespace wh::net {

RateTransmitter::RateTransmitter(Rate rate, Loop& loop, std::unique_ptr<Queue> queue,
                                 LinkCounters& counters, Wire& wire)
    : Transmitter(loop, std::move(queue), counters, wire),
      rate_(rate),
      capacity_(rate, loop.now()),
      free_at_(loop.now()),
      free_(loop, [this] { serve(); }) {
  CHECK(!rate.is_zero());
}

// Sends what may be sent now, and arms the timer if something is left.
void RateTransmitter::serve() {
  while (up_ && queue().held().packets != 0) {
    if (rounded_up() > loop_.now()) {
      free_.arm(rounded_up());
      return;
    }
    PacketPtr packet = dequeue();
    if (packet == nullptr) return;
    send(std::move(packet));
  }
}

inline void RateTransmitter::send(PacketPtr packet) {
  const Instant now = loop_.now();
  if (rate_.is_infinite()) return depart(std::move(packet), now);
  // It starts when its predecessor has left, to the fraction of a nanosecond, but never before it
  // came.
  if (packet->enqueued > free_at_) {
    free_at_ = packet->enqueued;
    fraction_ = 0;
  }
  advance(Uint128(packet->size()) * 8 * 1'000'000'000u);
  const Instant left = rounded_up();
  counters_.busy_ns += static_cast<uint64_t>((left - now).count());
  depart(std::move(packet), left);
}

// Moves the end of transmission by `bit_ns` / rate nanoseconds. The division is one machine
// instruction unless a packet exceeds 2 GB.
inline void RateTransmitter::advance(Uint128 bit_ns) {
  const Uint128 sum = bit_ns + fraction_;
  if (sum >> 64 == 0) {
    const auto low = static_cast<uint64_t>(sum);
    free_at_ += Duration(static_cast<int64_t>(low / rate_.bps()));
    fraction_ = low % rate_.bps();
  } else {
    free_at_ += Duration(static_cast<int64_t>(sum / rate_.bps()));
    fraction_ = static_cast<uint64_t>(sum % rate_.bps());
  }
}

void RateTransmitter::set_up(bool up) {
  if (std::exchange(up_, up) == up) return;
  if (!up) return free_.disarm();
  free_at_ = std::max(rounded_up(), loop_.now());
  fraction_ = 0;
  serve();
}

void RateTransmitter::set_rate(Rate rate) {
  CHECK(!rate.is_zero());
  capacity_.change(rate, loop_.now());
  // The packet being sent ends as it would have. A fraction of the old rate means nothing at the
  // new.
  free_at_ = std::max(rounded_up(), loop_.now());
  fraction_ = 0;
  rate_ = rate;
}

double RateTransmitter::sent_bytes() const {
  const auto begun = static_cast<double>(counters_.transmitted.bytes);
  if (rate_.is_infinite() || free_at_ <= loop_.now()) return begun;
  return begun - to_seconds(free_at_ - loop_.now()) * static_cast<double>(rate_.bps()) / 8;
}

}  // namespace wh::net
