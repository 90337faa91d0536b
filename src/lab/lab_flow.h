// A flow between two hosts of the lab: one connection, our TCP at both ends.
#pragma once

#include "lab/flow.h"
#include "lab/host.h"
#include "lab/program.h"
#include "lab/stream.h"

namespace wh::lab {

class LabFlow final : public Flow {
 public:
  struct Place {
    const Pattern& bytes;  // What all flows' streams are made of; `number` tells where each begins.
    uint32_t number;
    Host& from;
    Host& to;
    net::IpAddress from_address, to_address;
    uint16_t from_port, to_port;  // Distinct for each flow between two hosts.
  };
  LabFlow(FlowSpec flow, std::string label, Place place, Loop& loop);

  // What came before it was accepted counts.
  void accept(tcp::Connection& connection) override {
    receiver_.attach(connection);
    receiver_.on_ready(connection, tcp::kConnected | tcp::kReadable | tcp::kWritable);
  }
  void begin(Instant now) override;
  void begin_measuring() override;
  FlowReport report() const override;
  bool is_done() const override { return sender_.is_done() && receiver_.is_done(); }
  std::string failure() const override;
  uint64_t delivered() const override { return receiver_.received(); }
  FlowSample sample() override { return sample_of(sender_, receiver_.received()); }

 private:
  void start();
  FlowReport totals() const;  // Of the whole run so far, without the goodput.
  void on_received();

  Place place_;
  Loop& loop_;
  Pattern pattern_, requests_;
  StreamEnd sender_, receiver_;
  std::unique_ptr<Program> program_;  // Null: it sends all it can.
  Timer start_;
  std::string start_failure_;
  Instant measured_from_, started_at_, finished_at_ = kNever;
  FlowReport before_;  // The totals when the warm-up ended.
};

}  // namespace wh::lab
