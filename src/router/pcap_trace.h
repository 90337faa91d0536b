// `pcap trace`: what passes interfaces, or what is dropped, into a capture file.
//
// One at a time. It ends by itself after `max` packets. Drops are written as they were when a node
// gave up on them, with the link header put back where it had been taken off.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/capture.h"
#include "vnet/vnet.h"

namespace wh::router {

class PcapTrace final : public net::PacketTap {
 public:
  struct Options {
    bool rx = false, tx = false, drop = false;
    std::optional<uint16_t> interface = {};  // Nothing: all there are when it begins.
    uint64_t max = 1000;
    std::string path = "/tmp/trace.pcap";
  };
  explicit PcapTrace(vnet::Vnet& vnet) : vnet_(vnet) {}
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
  void see(const net::Packet& packet, net::Direction direction, Instant when) override;
  void see_drop(const net::Packet& packet);
  void write(const net::Packet& packet, net::Direction direction, Instant when);

  vnet::Vnet& vnet_;
  std::optional<Options> options_;
  std::unique_ptr<net::Capture> capture_;
  std::vector<net::Interface*> tapped_;
  uint64_t packets_ = 0;
};

}  // namespace wh::router
