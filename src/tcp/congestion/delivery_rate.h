// Delivery rate samples: how fast what was sent around the same time as the newest delivered
// segment has arrived.
//
// With each burst goes a snapshot: how much had been delivered, and when. When a segment of it is
// acknowledged or SACKed, what was delivered since the snapshot, over the longer of the times in
// which it was sent and acknowledged, is a sample. Segments of a burst share their snapshot; it is
// found by the time at which they left.
// Source: draft-ietf-ccwg-bbr, section "Delivery Rate Samples".
#pragma once

#include <algorithm>
#include <deque>

#include "core/units.h"

namespace wh::tcp {

struct RateSample {
  bool has_data = false;  // Something was delivered whose snapshot is known.
  Rate delivery_rate;     // Zero: no reliable sample.
  Bytes delivered{0};     // Over the sampling interval.
  Bytes prior_delivered{0};
  Bytes newly_acked{0};   // With this acknowledgment.
  Bytes tx_in_flight{0};  // When the newest delivered segment was sent, with its burst.
  Bytes lost{0};          // Since then.
  Duration rtt{0};        // Zero: no sample.
  bool is_app_limited = false;
};

class DeliveryRate {
 public:
  struct Snapshot {
    Instant sent_at{}, delivered_at{}, first_sent_at{};
    Bytes delivered{0}, lost{0}, in_flight{0};
    bool is_app_limited = false;
  };

  // A burst left.
  void on_send(Instant now, Bytes flight_before, Bytes flight_after) {
    if (flight_before <= Bytes(0)) first_sent_at_ = delivered_at_ = now;
    if (!sent_.empty() && sent_.back().sent_at == now) {
      sent_.back().in_flight = flight_after;
      return;
    }
    sent_.push_back(
        {now, delivered_at_, first_sent_at_, delivered_, lost_, flight_after, is_app_limited()});
  }
  void on_lost(Bytes bytes) { lost_ += bytes; }
  // `newest_sent_at`: when the most recently sent of what is delivered now had left.
  RateSample on_delivered(Instant now, Bytes bytes, Instant newest_sent_at, Duration min_rtt) {
    delivered_ += bytes;
    if (bytes > Bytes(0)) delivered_at_ = now;
    if (is_app_limited() && delivered_ > app_limited_) app_limited_ = Bytes(0);
    RateSample rs;
    rs.newly_acked = bytes;
    const Snapshot* p = bytes > Bytes(0) ? find(newest_sent_at) : nullptr;
    if (p == nullptr) return rs;
    rs.has_data = true;
    rs.prior_delivered = p->delivered;
    rs.is_app_limited = p->is_app_limited;
    rs.delivered = delivered_ - p->delivered;
    rs.tx_in_flight = p->in_flight;
    rs.lost = lost_ - p->lost;
    const Duration interval = std::max(p->sent_at - p->first_sent_at, now - p->delivered_at);
    first_sent_at_ = std::max(first_sent_at_, p->sent_at);
    if (interval > Duration::zero() && interval >= min_rtt) {
      rs.delivery_rate = Rate::of(rs.delivered, interval);
    }
    return rs;
  }
  // No segment that left before is outstanding.
  void forget_before(Instant oldest) {
    while (!sent_.empty() && sent_.front().sent_at < oldest) sent_.pop_front();
  }
  // The sender ran out of data with so much in the network.
  void mark_app_limited(Bytes flight) { app_limited_ = std::max(delivered_ + flight, Bytes(1)); }

  bool is_app_limited() const { return app_limited_ > Bytes(0); }
  Bytes delivered() const { return delivered_; }
  Bytes lost() const { return lost_; }
  const Snapshot* find(Instant sent_at) const {
    const auto at = std::lower_bound(sent_.begin(), sent_.end(), sent_at,
                                     [](const Snapshot& s, Instant t) { return s.sent_at < t; });
    return at != sent_.end() && at->sent_at == sent_at ? &*at : nullptr;
  }

 private:
  std::deque<Snapshot> sent_;
  Instant delivered_at_{}, first_sent_at_{};
  Bytes delivered_{0}, lost_{0}, app_limited_{0};
};

}  // namespace wh::tcp
