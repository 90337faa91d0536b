// A flow of an experiment: one connection between two hosts, its two programs, and what it got.
#pragma once

#include <memory>
#include <string>

#include "lab/host.h"
#include "lab/report.h"
#include "lab/spec.h"
#include "lab/stream.h"

namespace wh::lab {

class Flow {
 public:
  struct Place {
    Host& from;
    Host& to;
    net::IpAddress from_address, to_address;
    uint16_t from_port, to_port;  // Distinct for each flow between two hosts.
  };
  Flow(FlowSpec spec, std::string name, Place place, Loop& loop, const Random& random);
  ~Flow();

  const std::string& name() const { return name_; }
  // The statistics begin here: what was before does not count.
  void begin_measuring();
  FlowReport report() const;
  // The whole of a flow with a size has arrived and both sides have closed.
  bool is_done() const { return sender_.is_done() && receiver_.is_done(); }
  std::string failure() const;
  uint64_t delivered() const { return receiver_.received(); }

  // The receiving host's listener calls this for the connection that is the flow's. What came
  // before counts.
  void accept(tcp::Connection& connection) {
    receiver_.attach(connection);
    receiver_.on_ready(connection, tcp::kConnected | tcp::kReadable | tcp::kWritable);
  }
  const Place& place() const { return place_; }
  const FlowSpec& spec() const { return spec_; }

 private:
  void start();

  FlowSpec spec_;
  std::string name_;
  Place place_;
  Loop& loop_;
  Pattern pattern_;
  StreamEnd sender_, receiver_;
  Timer start_;
  std::string start_failure_;
  Instant measured_from_, started_at_, finished_at_ = kNever;
  uint64_t received_before_ = 0;
  Histogram rtt_before_;
};

}  // namespace wh::lab
