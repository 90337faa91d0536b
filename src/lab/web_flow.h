// A flow of short connections, as web pages make them: one begins every so often, by chance, sends
// an object whose size is chance too, and ends (lab/workload.h).
//
// The time between two beginnings is exponential, so they come as a Poisson process; sizes are
// log-normal with sigma 1.5, which makes half of them smaller than a third of the mean.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "core/random.h"
#include "lab/flow.h"
#include "lab/lab_flow.h"

namespace wh::lab {

class WebFlow final : public Flow {
 public:
  // The place's from_port is not used: each connection has one of its own.
  WebFlow(FlowSpec flow, std::string label, LabFlow::Place place, Loop& loop, const Random& random);
  ~WebFlow() override;

  void accept(tcp::Connection& connection) override;
  void begin(Instant now) override;
  void begin_measuring() override;
  void end() override { bury(); }
  FlowReport report() const override;
  bool is_done() const override { return false; }
  std::string failure() const override { return start_failure_; }
  uint64_t delivered() const override;
  FlowSample sample() override;

 private:
  struct Transfer;
  void begin_next();
  void begin_one(uint64_t size);
  FlowReport totals() const;  // Of the whole run so far, without the goodput.
  void finish(Transfer& transfer);
  void bury();  // Forgets the transfers that are over. REQUIRES: no call of theirs is on the stack.

  const Web& web() const { return std::get<Web>(spec().workload); }

  LabFlow::Place place_;
  Loop& loop_;
  Pattern pattern_;
  Random random_;
  std::map<uint16_t, std::unique_ptr<Transfer>> transfers_;  // By the client's port.
  WebReport counts_;
  // Of those that are over.
  uint64_t delivered_ = 0;
  Bytes sent_{0}, retransmitted_{0};
  Histogram rtt_;
  FlowReport before_;  // The totals when the warm-up ended.
  RttWindow window_;
  bool is_dgp_ = false;  // DGP paces its connections, or did the last one.
  std::string start_failure_;
  Instant measured_from_, started_at_;
  Timer next_;
};

}  // namespace wh::lab
