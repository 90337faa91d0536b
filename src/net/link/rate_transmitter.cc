#include "net/link/rate_transmitter.h"

#include <algorithm>

namespace wh::net {

RateTransmitter::RateTransmitter(Rate rate, Loop& loop, std::unique_ptr<Queue> queue,
                                 LinkCounters& counters, PacketSink& next)
    : Transmitter(loop, std::move(queue), counters, next),
      rate_(rate),
      capacity_(rate, loop.now()),
      free_at_(loop.now()),
      finished_(loop, [this] { finish(); }) {
  CHECK(!rate.is_zero());
}

void RateTransmitter::serve_next() {
  while ((serving_ = dequeue()) != nullptr) {
    if (rate_.is_infinite()) {
      depart(std::move(serving_));
      continue;
    }
    // It starts when its predecessor has left, to the fraction of a nanosecond, but never before it
    // came.
    if (serving_->enqueued > free_at_) {
      free_at_ = serving_->enqueued;
      fraction_ = 0;
    }
    served_from_ = loop_.now();
    advance(Uint128(serving_->size()) * 8 * 1'000'000'000u);
    finished_.arm(rounded_up());
    return;
  }
}

// Moves the end of transmission by `bit_ns` / rate nanoseconds. The division is one machine
// instruction unless a packet exceeds 2 GB.
void RateTransmitter::advance(Uint128 bit_ns) {
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

void RateTransmitter::finish() {
  counters_.busy_ns += static_cast<uint64_t>((loop_.now() - served_from_).count());
  depart(std::move(serving_));
  if (up_) serve_next();
}

void RateTransmitter::set_up(bool up) {
  if (std::exchange(up_, up) || !up || serving_ != nullptr) return;
  free_at_ = std::max(free_at_, loop_.now());
  serve_next();
}

void RateTransmitter::set_rate(Rate rate) {
  CHECK(!rate.is_zero());
  const Instant now = loop_.now();
  capacity_.change(rate, now);
  if (serving_ == nullptr) {
    rate_ = rate;
    free_at_ = std::max(rounded_up(), now);
    fraction_ = 0;
    return;
  }
  // What is left of the packet, in bits times nanoseconds at the old rate, is sent at the new one.
  // Between the exact end and the event that is due for it nothing is left.
  const Int128 left =
      Int128((free_at_ - now).count()) * static_cast<Int128>(rate_.bps()) + fraction_;
  rate_ = rate;
  free_at_ = now;
  fraction_ = 0;
  if (!rate.is_infinite()) advance(left > 0 ? static_cast<Uint128>(left) : 0);
  finished_.arm(rounded_up());
}

Tally RateTransmitter::in_service() const {
  return serving_ == nullptr ? Tally{} : Tally{1, serving_->size()};
}

}  // namespace wh::net
