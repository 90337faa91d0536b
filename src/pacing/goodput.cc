#include "pacing/goodput.h"

#include <algorithm>

namespace wh::pacing {

void GoodputFilter::add(Rate measured, Duration took, Duration srtt) {
  if (count_ < kAveraged) {
    ++count_;
    sum_ = sum_ + measured;
    estimate_ = Rate::bits_per_second(sum_.bps() / count_);
    return;
  }
  if (count_ < 255) ++count_;
  // weight = took / (divisor srtt), at most 1 / divisor.
  const Duration whole = std::max<Duration>(srtt, 1us) * config_.divisor;
  const Duration part = std::min(took, whole / config_.divisor);
  const auto scaled = [&](Rate r, Duration weight) {
    return static_cast<uint64_t>(Uint128(r.bps()) * static_cast<uint64_t>(weight.count()) /
                                 static_cast<uint64_t>(whole.count()));
  };
  estimate_ = Rate::bits_per_second(scaled(estimate_, whole - part) + scaled(measured, part));
}

void GoodputFilter::replace(Rate rate) {
  estimate_ = rate;
  count_ = std::max(count_, kAveraged);
}

Bytes GoodputWindow::target(const Situation& s) const {
  const Bytes least = s.mss * kLeastSegments;
  if (s.estimate.is_zero()) return std::max(s.initial_window, least);
  const Bytes goal = s.estimate.bytes_in(s.srtt * config_.goal_bdp);
  const Bytes length = s.mss * std::max<int64_t>((goal + s.mss - Bytes(1)) / s.mss, 1);
  if (length < s.mss * config_.min_target) return std::max(length, s.mss * (kLeastSegments + 2));
  return length;
}

void GoodputWindow::open(uint64_t start, const Situation& s) {
  is_open_ = true;
  needs_base_ = true;
  is_first_ = s.estimate.is_zero();
  start_ = start;
  end_ = start + static_cast<uint64_t>(target(s).count());
  rtt_ = lowest_rtt_ = Duration::zero();
  highest_rwnd_ = s.rwnd;
}

void GoodputWindow::on_sent(const Situation& s, uint64_t begin) {
  if (!is_open_) open(begin, s);
}

std::optional<GoodputWindow::Measurement> GoodputWindow::on_acked(const Situation& s,
                                                                  const Acked& a) {
  std::optional<Measurement> made;
  if (is_open_ && s.una > start_) {
    highest_rwnd_ = std::max(highest_rwnd_, s.rwnd);
    if (a.rtt > Duration::zero()) {
      rtt_ = rtt_ == Duration::zero() ? a.rtt : rtt_ - rtt_ / 8 + a.rtt / 8;
      lowest_rtt_ = lowest_rtt_ == Duration::zero() ? a.rtt : std::min(lowest_rtt_, a.rtt);
    }
    const auto over = is_over(s);
    if (over) {
      made = measure(s, a, *over);
      is_open_ = false;
    } else if (needs_base_) {
      needs_base_ = false;
      start_ = s.una;
      acked_base_ = s.now;
      sent_base_ = a.next_sent_at;
    }
  }
  // The next one, with the acknowledgment that ended this one as its time base.
  if (!is_open_ && s.una < s.snd_max && a.next_is_new && s.una > limited_until_) {
    open(s.una, s);
    needs_base_ = false;
    acked_base_ = s.now;
    sent_base_ = a.next_sent_at;
  }
  return made;
}

std::optional<GoodputWindow::Quality> GoodputWindow::is_over(const Situation& s) const {
  if (s.una >= s.snd_max) return Quality::AllAcked;
  if (s.una >= end_) return end_ == limited_until_ ? Quality::AppLimited : Quality::High;
  if (needs_base_) return {};
  const auto bytes = Bytes(static_cast<int64_t>(s.una - start_));
  if (bytes < std::max(s.initial_window, s.mss * kLeastSegments)) return {};
  if (s.now - acked_base_ >= (s.in_recovery ? 2 * rtt_ : rtt_)) return Quality::High;
  return {};
}

std::optional<GoodputWindow::Measurement> GoodputWindow::measure(const Situation& s, const Acked& a,
                                                                 Quality quality) const {
  if (needs_base_) return {};
  Measurement m{.rtt = rtt_, .quality = quality};
  m.bytes = Bytes(static_cast<int64_t>(s.una - start_));
  Bytes least = std::min(s.initial_window, s.mss * kLeastSegments);
  if (is_first_) least -= s.mss * 2;
  if (m.bytes < least) return {};
  m.took = std::max({s.now - acked_base_, a.sent_at - sent_base_, Duration(1us)});
  m.rate = Rate::of(m.bytes, m.took);
  // No more can have passed than the receiver's window in a round trip.
  if (lowest_rtt_ > Duration::zero() && highest_rwnd_ > Bytes(0)) {
    m.rate = std::min(m.rate, Rate::of(highest_rwnd_, lowest_rtt_));
  }
  return m;
}

std::optional<GoodputWindow::Measurement> GoodputWindow::finish(const Situation& s,
                                                                const Acked& a) {
  if (!is_open_) return {};
  is_open_ = false;
  return s.una > start_ ? measure(s, a, Quality::High) : std::nullopt;
}

void GoodputWindow::on_app_limited(const Situation& s) {
  // What was sent before the pause says nothing of what is sent after it.
  limited_until_ = s.snd_max;
  if (!is_open_ || s.snd_max >= end_) return;
  const uint64_t sent = s.snd_max > start_ ? s.snd_max - start_ : 0;
  if (Bytes(static_cast<int64_t>(sent)) < s.mss * kLeastSegments) return abandon();
  end_ = s.snd_max;
}

}  // namespace wh::pacing
