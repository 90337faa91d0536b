// A connection's pace: the rate asked for, how large a burst it makes, and whether one may leave
// now.
//
// A paced connection sends a burst, then nothing at all until the burst's time on the wire at the
// pace rate has passed. The wheel calls it back then, or somewhat later; how late (or, rarely,
// early) it came enters the next delay, so that the rate over many bursts is the one asked for. The
// arithmetic is pacing's (pacing/pace.h, pacing/pace_account.h); the wheel entry is the
// connection's.
//
// A rate counts Ethernet frames without preamble and check sequence: payload + TCP + IP headers
// + 14.
#pragma once

#include "core/units.h"
#include "pacing/pace.h"
#include "pacing/pace_account.h"

namespace wh::tcp {

class Pacer {
 public:
  bool is_on() const { return !rate_.is_infinite(); }
  Rate rate() const { return rate_; }
  // Rate::infinite() turns pacing off. REQUIRES: above zero.
  void set_rate(Rate rate) {
    CHECK(!rate.is_zero());
    rate_ = rate;
    if (!is_on()) account_.reset();
  }
  // How lateness is repaid: at once for a fixed rate (the default), slowly for DGP.
  void set_policy(const pacing::PaceAccount::Policy& policy) { policy_ = policy; }
  const pacing::PaceAccount::Policy& policy() const { return policy_; }
  pacing::BurstLimits& limits() { return limits_; }
  const pacing::BurstLimits& limits() const { return limits_; }
  // Payload bytes of a burst at the current rate. REQUIRES: is_on().
  Bytes burst(Bytes mss) const { return pacing::pace_len(rate_, mss, limits_); }

  bool must_wait(Instant now) const { return account_.must_wait(now); }
  bool is_pacing() const { return account_.is_pacing(); }
  Instant due() const { return account_.last_output_to(); }
  void begin_output(Instant now) {
    if (is_pacing() && was_whole_) kept_ += now - started_;
    account_.note_output(now);
  }
  // A burst of so many bytes of frames left: the next delay begins. `is_whole`: it was as long as
  // the pace allowed.
  void sent(Instant now, Bytes wire, bool is_whole) {
    const Duration time = rate_.transfer_time(wire);
    if (is_whole) asked_ += time;
    was_whole_ = is_whole;
    started_ = now;
    account_.start(now, time, policy_);
  }
  // Nothing was sent, or a timer expired: what was owed is forgiven.
  void forgive() { account_.reset(); }
  const pacing::PaceAccount& account() const { return account_; }
  // The time that all whole bursts so far should have taken, and the time that they did: how long
  // their delays ran. After a burst that the window or the data cut short it is not the pace that
  // says when the next one comes.
  Duration asked() const { return asked_; }
  Duration kept() const { return kept_; }

 private:
  Rate rate_ = Rate::infinite();
  pacing::PaceAccount account_;
  pacing::PaceAccount::Policy policy_;
  Duration asked_{0}, kept_{0};
  Instant started_{};
  bool was_whole_ = false;
  pacing::BurstLimits limits_;
};

}  // namespace wh::tcp
