// A flow of an experiment: one connection between two hosts, and what it got.
#pragma once

#include <string>

#include "lab/report.h"
#include "lab/series.h"
#include "lab/spec.h"
#include "lab/trace_folder.h"
#include "tcp/connection.h"

namespace wh::lab {

class StreamEnd;

// Paces a connection that is about to be made as its flow says.
void set_pace(const FlowSpec& flow, tcp::Connection& connection);

class Flow {
 public:
  Flow(FlowSpec spec, std::string name) : spec_(std::move(spec)), name_(std::move(name)) {}
  virtual ~Flow() = default;
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  const FlowSpec& spec() const { return spec_; }
  const std::string& name() const { return name_; }

  // The run begins now, as the loop has it or will; the flow itself, when its time comes.
  virtual void begin(Instant now) = 0;
  // A listener of the lab calls this for the connection that is the flow's.
  virtual void accept(tcp::Connection& connection) = 0;
  // The statistics begin here: what was before does not count.
  virtual void begin_measuring() = 0;
  // The run is over. What has to be asked of others is asked now.
  virtual void end() {}
  virtual FlowReport report() const = 0;
  // The whole of a flow with a size has arrived and both sides have closed.
  virtual bool is_done() const = 0;
  virtual std::string failure() const = 0;  // Why it ended early; "" when it did not.
  virtual uint64_t delivered() const = 0;   // Payload bytes that reached the receiving program.
  // What the sender's side is now, for a chart. Round-trip samples are those since the last call.
  virtual FlowSample sample() = 0;

  // Its connections keep black boxes in `folder`, which must outlive them, as the number `number`.
  void trace_in(TraceFolder& folder, size_t number) {
    folder_ = &folder;
    number_ = number;
  }
  // For a connection of the flow as it is made, on the host so called.
  // Those of a flow of many are told apart by the client's port.
  void trace(tcp::Connection& connection, std::string_view host, uint16_t client_port) {
    if (folder_ == nullptr) return;
    const bool is_one_of_many = std::holds_alternative<Web>(spec_.workload);
    folder_->trace(connection, number_, name_, host, is_one_of_many ? client_port : 0);
  }

 protected:
  // What a report says of the flow before it began; of one that began, whether DGP paces it.
  FlowReport blank_report(bool is_dgp) const;
  // Of this flow's sender, whose receiver has got so much.
  FlowSample sample_of(StreamEnd& sender, uint64_t delivered) const;

 private:
  FlowSpec spec_;
  std::string name_;
  TraceFolder* folder_ = nullptr;
  size_t number_ = 0;
};

}  // namespace wh::lab
