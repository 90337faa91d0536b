// NewReno (RFC 5681, RFC 6582) with appropriate byte counting (RFC 3465).
//
// Slow start adds what is acknowledged, at most `abc_l` segments an acknowledgment; avoidance adds
// one segment for each window acknowledged. A loss multiplies by beta, rounded down to whole
// segments, never below two. Under DGP the beta is that of a mark, as FreeBSD has it: a paced flow
// loses less of its own making.
#pragma once

#include "tcp/congestion/congestion.h"

namespace wh::tcp {

class NewReno final : public CongestionControl {
 public:
  struct Config {
    uint32_t beta_percent = 50;      // net.inet.tcp.cc.newreno.beta
    uint32_t beta_ecn_percent = 80;  // net.inet.tcp.cc.newreno.beta_ecn (RFC 8511)
    uint32_t abc_l = 2;              // net.inet.tcp.abc_l_var (RFC 3465 section 2.3)
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
  Config config_;
  Bytes acked_{0};  // Towards the next segment of growth in avoidance.
};

}  // namespace wh::tcp
