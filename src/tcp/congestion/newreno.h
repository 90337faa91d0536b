// NewReno (RFC 5681, RFC 6582) with appropriate byte counting (RFC 3465).
//
// Slow start adds what is acknowledged, at most `abc_l` segments an acknowledgment; avoidance adds
// one segment for each window acknowledged. HyStart++ leaves the first slow start, if asked for. A
// loss multiplies by beta, rounded down to whole segments, never below two. Under DGP the beta is
// that of a mark, as FreeBSD has it: a paced flow loses less of its own making.
#pragma once

#include "tcp/congestion/congestion.h"
#include "tcp/congestion/hystart.h"

namespace wh::tcp {

class NewReno final : public CongestionControl {
 public:
  struct Config {
    uint32_t beta_percent = 50;      // net.inet.tcp.cc.newreno.beta
    uint32_t beta_ecn_percent = 80;  // net.inet.tcp.cc.newreno.beta_ecn (RFC 8511)
    uint32_t abc_l = 2;              // net.inet.tcp.abc_l_var (RFC 3465 section 2.3)
    bool counts_bytes = true;        // net.inet.tcp.rfc3465; else acknowledgments (RFC 5681)
    bool heeds_marks_less = true;    // net.inet.tcp.cc.abe: beta_ecn for a mark, not beta
    bool may_hystart = true;         // It can be asked for HyStart++,
    bool hystart = false;            // and does it unasked: rack.features.hystartplusplus
  };
  NewReno() = default;
  explicit NewReno(const Config& config) : config_(config) {}

  std::string_view name() const override { return "newreno"; }
  void on_ack(CongestionState& state, const AckEvent& event) override;
  void on_loss(CongestionState& state, const LossEvent& event) override;
  void on_ecn(CongestionState& state, const LossEvent& event) override;
  void on_timeout(CongestionState& state, const LossEvent& event, bool is_first) override;

 private:
  static Bytes reduced(const CongestionState& state, uint32_t percent);
  Bytes slow_start_growth(const CongestionState& state, const AckEvent& event, bool hystart) const;
  Config config_;
  HyStart hystart_;
  bool had_loss_ = false;  // HyStart++ is for the first slow start only.
  Bytes acked_{0};         // Towards the next segment of growth in avoidance.
};

}  // namespace wh::tcp
