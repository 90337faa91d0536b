// Proportional Rate Reduction: how much may be sent on each acknowledgment of a recovery episode.
//
// While more is in the network than ssthresh, sends in the proportion ssthresh / flight of what is
// delivered; below ssthresh, it conserves packets or, when the acknowledgment shows progress, grows
// back slowly. The connection sets cwnd = pipe + budget, so one rule (pipe < cwnd) admits
// retransmissions and new data alike.
//
// Two variants: RFC 9937 (the default), and FreeBSD's, kept as the RACK stack's reference.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/units.h"

namespace wh::tcp {

class Prr {
 public:
  enum class Variant : uint8_t { Rfc9937, FreeBsd };

  struct Delivery {
    Bytes delivered{0};  // Newly acknowledged or SACKed by this acknowledgment.
    Bytes pipe{0};       // In the network after it.
    Bytes ssthresh{0}, mss{0};
    bool is_safe = false;  // snd_una advanced and no further loss was found (RFC 9937 "SafeACK").
  };

  // Recovery begins with so much in the network. While it was in doubt whether anything was lost,
  // `unanswered` was delivered and nothing sent for it. REQUIRES: flight > 0.
  void start(Bytes flight, Bytes unanswered = kNone) {
    CHECK(flight.count() > 0);
    *this = Prr();
    flight_ = flight + unanswered;
    delivered_ = unanswered;
  }
  void on_sent(Bytes size) { out_ += size; }

  // Bytes that may be sent now.
  Bytes on_delivery(const Delivery& d, Variant variant = Variant::Rfc9937) {
    delivered_ += d.delivered;
    return variant == Variant::FreeBsd ? free_bsd(d) : rfc9937(d);
  }

 private:
  static constexpr Bytes kNone{0};

  Bytes rfc9937(const Delivery& d) const {
    Bytes budget;
    if (d.pipe > d.ssthresh) {
      const Int128 product = Int128(delivered_.count()) * d.ssthresh.count();
      budget =
          Bytes(static_cast<int64_t>((product + flight_.count() - 1) / flight_.count())) - out_;
    } else {
      budget = std::max(delivered_ - out_, d.delivered);
      if (d.is_safe) budget += d.mss;
      budget = std::min(d.ssthresh - d.pipe, budget);
    }
    budget = std::max(budget, kNone);
    // The first retransmission is not to wait (RFC 9937 section 6).
    return out_ == kNone && budget == kNone ? d.mss : budget;
  }

  Bytes free_bsd(const Delivery& d) const {
    if (d.pipe > d.ssthresh) {
      const Int128 product = Int128(delivered_.count()) * d.ssthresh.count();
      const Bytes share(static_cast<int64_t>(product / flight_.count()) + 1);
      return std::max(share - out_, kNone);
    }
    const Bytes limit = std::max(delivered_ - out_, d.delivered) + d.mss;
    return std::max(std::min(d.ssthresh - d.pipe, limit), kNone);
  }

  Bytes flight_{1};
  Bytes delivered_{0}, out_{0};
};

}  // namespace wh::tcp
