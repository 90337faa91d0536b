// A flow with the Linux kernel's TCP at one end: ours sends and the kernel's receives, or the other
// way about.
//
// The kernel's end is a program in its namespace (host::KernelPeer) that checks every byte and
// reports when it stops. While the run goes on, goodput towards the kernel is what it has
// acknowledged; its own count is the report's `delivered`.
#pragma once

#include <memory>
#include <optional>

#include "lab/flow.h"
#include "lab/host.h"
#include "lab/kernel_host.h"
#include "lab/stream.h"

namespace wh::lab {

class KernelFlow final : public Flow {
 public:
  enum class Way : uint8_t { ToKernel, FromKernel };
  struct Place {
    Host& ours;
    const KernelHost& kernel;
    net::IpAddress our_address, kernel_address;
    uint16_t port;  // Of whoever listens: the receiver.
    uint64_t seed;  // Of the stream; distinct for each flow.
  };
  // Of the whole run, from its beginning.
  struct Times {
    Duration duration, warmup;
  };
  // The kernel's end is there when this returns, listening if it receives. Errors: the kernel has
  // no such congestion control, a port is taken.
  static Result<std::unique_ptr<KernelFlow>> make(FlowSpec flow, std::string label, Way way,
                                                  Place place, Times times, host::RealLoop& loop);
  Way way() const { return way_; }

  void accept(tcp::Connection& connection) override {
    ours_.attach(connection);
    ours_.on_ready(connection, tcp::kConnected | tcp::kReadable | tcp::kWritable);
  }
  void begin(Instant now) override;
  void begin_measuring() override;
  void end() override;
  FlowReport report() const override;
  bool is_done() const override { return ours_.is_done(); }
  std::string failure() const override;
  uint64_t delivered() const override;
  FlowSample sample() override;

 private:
  KernelFlow(FlowSpec flow, std::string label, Way way, Place place, Times times,
             host::RealLoop& loop);
  Result<void> start_peer();
  void start();
  uint64_t moved() const;     // Payload that has reached the receiver, as far as we know.
  FlowReport totals() const;  // Of the whole run so far, without the goodput.

  Way way_;
  Place place_;
  Times times_;
  host::RealLoop& loop_;
  Pattern pattern_;
  StreamEnd ours_;
  Timer start_;
  Instant measured_from_, started_at_, finished_at_ = kNever;
  uint64_t moved_before_ = 0;
  FlowReport before_;  // The totals when the warm-up ended.
  std::unique_ptr<host::KernelPeer> peer_;
  std::optional<host::PeerReport> peer_report_;
  std::string peer_failure_;
};

}  // namespace wh::lab
