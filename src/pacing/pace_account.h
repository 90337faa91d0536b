// A connection's pacing delay and what it owes: lateness and earliness enter the next delay.
//
// HPTS calls late by its precision, and sometimes a stack sends early. Either is added up here and
// repaid from the next delays, so that a fixed rate is kept in the long run whatever the jitter:
//
//   on output:   account.note_output(now);                      // how late, or early, was this?
//   after it:    hpts.insert(*this, account.start(now, rate.transfer_time(burst), policy));
//   before any:  if (account.must_wait(now)) return;            // nothing leaves until the delay
//                                                               // is over
//
// Two ways to repay lateness. At once (a fixed rate): the next delay is shortened by all of it, but
// to no less than 10 us, or, on a precise wheel, which keeps shorter ones, its half. Slowly (DGP):
// by at most max_reduction percent of each delay, so that a late wake-up is never repaid with a
// burst, and no delay is shorter than HPTS can keep.
//
// Source: "Pacing in the FreeBSD TCP Stack", the second of a stack's responsibilities; FreeBSD
// RACK, 2024.
#pragma once

#include "core/units.h"
#include "pacing/hpts_time.h"

namespace wh::pacing {

class PaceAccount {
 public:
  enum class Repay : uint8_t { AtOnce, Slowly };
  struct Policy {
    Repay repay = Repay::AtOnce;
    uint32_t max_reduction = 10;   // Percent of a delay; with Slowly only.
    Duration least_delay = 260us;  // get_hpts_min_sleep_time(); with Slowly only.
    bool is_precise = false;       // Of the wheel; with AtOnce only.
  };

  // A delay was started and is not over: nothing may be sent.
  bool must_wait(Instant now) const { return is_pacing_ && now < last_output_to_; }
  bool is_pacing() const { return is_pacing_; }
  Instant last_output_to() const { return last_output_to_; }  // When the delay ends, or ended.

  // Output happens now: ends the delay and adds up how late or early this is. Nothing without a
  // delay.
  void note_output(Instant now);
  // Starts the delay that follows a burst: `interval` plus what was early, less what was late.
  // Returns it, to be given to Hpts::insert. REQUIRES: interval >= 0.
  Duration start(Instant now, Duration interval, const Policy& policy);
  // Forgives all: when nothing was sent, at a retransmission timeout, on leaving persist, when not
  // pacing.
  void reset() { *this = PaceAccount(); }

  Duration agg_early() const { return agg_early_; }
  Duration agg_delayed() const { return agg_delayed_; }

 private:
  Duration repay_at_once(Duration delay, const Policy& policy);
  Duration repay_slowly(Duration delay, const Policy& policy);

  Instant last_output_to_{};
  Duration agg_early_{0};
  Duration agg_delayed_{0};
  bool is_pacing_ = false;
};

}  // namespace wh::pacing
