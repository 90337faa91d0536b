// `pcap trace`: what passes interfaces, or what is dropped, into a capture file.
//
// Packets are dated by the wall clock as it stood when the trace began; in virtual time, which has
// none, by the loop's own. One at a time. After `max` packets it writes no more. Drops are written
// as they were when a node gave up on them, with the link header put back where it had been taken
// off.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/capture.h"
#include "vnet/vnet.h"

namespace wh::router {

using WallClock = std::function<Duration()>;  // The time since 1970.

class PcapTrace final : public net::PacketTap {
 public:
  struct Options {
    bool rx = false, tx = false, drop = false;
    std::optional<uint16_t> interface = {};  // Nothing: all there are when it begins.
    uint64_t max = 1000;
    std::string path = "/tmp/trace.pcap";
    std::string part = {};  // After the path: where this one writes, of several that go together.
  };
  explicit PcapTrace(vnet::Vnet& vnet, WallClock wall = {}) : vnet_(vnet), wall_(std::move(wall)) {}
  ~PcapTrace() override;

  // Errors: one is going on; the file cannot be written; none of rx, tx, drop.
  Result<void> start(Options options);
  // Returns how many packets it wrote. Errors: none is going on; the file could not be written.
  Result<uint64_t> stop();
  // What is going on, or went on last; nothing before the first.
  const std::optional<Options>& options() const { return options_; }
  bool is_on() const { return capture_ != nullptr; }
  uint64_t packets() const { return packets_; }

  // An interface is about to go.
  void forget(net::Interface& device);

 private:
  static constexpr uint16_t kGone = 0xffff;  // The number of no interface.
  void see(const net::Packet& packet, net::Direction direction, Instant when) override;
  void see_drop(const net::Packet& packet);
  void write(const net::Packet& packet, net::Direction direction, Instant when);

  vnet::Vnet& vnet_;
  WallClock wall_;
  Duration shift_{};  // From the loop's time to what is written.
  std::optional<Options> options_;
  std::unique_ptr<net::Capture> capture_;
  std::vector<net::Interface*> tapped_;
  uint64_t packets_ = 0;
};

}  // namespace wh::router
