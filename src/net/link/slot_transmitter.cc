#include "net/link/slot_transmitter.h"

#include <algorithm>

namespace wh::net {

SlotTransmitter::SlotTransmitter(Duration period, Rate rate, Loop& loop,
                                 std::unique_ptr<Queue> queue, LinkCounters& counters, Wire& wire)
    : Transmitter(loop, std::move(queue), counters, wire),
      period_(period),
      rate_(rate),
      capacity_(rate, loop.now()),
      origin_(loop.now()),
      slot_(loop, [this] { release(); }) {
  CHECK(period > 0ns && !rate.is_zero());
}

void SlotTransmitter::accept(PacketPtr packet) {
  // A slot that is due at this very instant comes first, in whatever order the loop got here.
  if (slot_.deadline() <= loop_.now()) release();
  enqueue(std::move(packet));
  arm();
}

void SlotTransmitter::arm() {
  if (!up_ || slot_.is_armed() || queue().held().packets == 0) return;
  due_slot_ = (loop_.now() - origin_) / period_ + 1;
  slot_.arm(origin_ + due_slot_ * period_);
}

void SlotTransmitter::release() {
  slot_.disarm();
  grant();
  while (rate_.is_infinite() || credit_ > 0) {
    PacketPtr packet = dequeue();
    if (packet == nullptr) break;
    if (!rate_.is_infinite()) credit_ -= Int128(packet->size()) * 8 * 1'000'000'000;
    depart(std::move(packet), loop_.now());
  }
  ran_empty_ = queue().held().packets == 0;
  arm();
}

void SlotTransmitter::grant() {
  const int64_t unused = due_slot_ - 1 - last_slot_;
  last_slot_ = (loop_.now() - origin_) / period_;
  if (rate_.is_infinite()) return;
  const Int128 one = Int128(rate_.bps()) * period_.count();
  // Slots that found nothing to send, or came while the link was down, only pay off what left in
  // advance.
  if (ran_empty_ || unused > 0) credit_ = std::min<Int128>(credit_ + unused * one, 0);
  // More than one where the loop comes late.
  credit_ += (last_slot_ - due_slot_ + 1) * one;
}

void SlotTransmitter::set_up(bool up) {
  up_ = up;
  if (up) {
    arm();
  } else {
    slot_.disarm();
  }
}

void SlotTransmitter::set_rate(Rate rate) {
  CHECK(!rate.is_zero());
  capacity_.change(rate, loop_.now());
  rate_ = rate;
  credit_ = std::min<Int128>(credit_, 0);
}

}  // namespace wh::net
