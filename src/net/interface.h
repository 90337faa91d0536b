// A network interface as both its sides see it: a stack above, a link or a device below.
//
//   stack --- transmit(frame) --->  Interface  --- send(frame) ---> link, TAP, AF_PACKET
//   stack <--- on_input(frame) ---  Interface  <--- receive(frame) --- link, TAP, AF_PACKET
//
// It counts both ways, shows passing packets to captures, and drops with a counted reason when it
// is down or a packet exceeds its MTU. A device derives from it and implements send(); a stack
// attaches an input.
// Ownership: the attached input and captures must outlive the interface or be detached.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/loop.h"
#include "net/address.h"
#include "net/frame.h"

namespace wh::net {

enum class Direction : uint8_t { In, Out };

// Sees packets that pass an interface, whole as on the wire, before they are handed on. Must not
// keep them.
class PacketTap {
 public:
  virtual ~PacketTap() = default;
  virtual void see(const Packet& packet, Direction direction, Instant when) = 0;
};

struct InterfaceCounters {
  uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
  uint64_t rx_down = 0, tx_down = 0;  // Dropped: the interface is administratively down.
  uint64_t tx_too_big = 0;            // Dropped: longer than MTU and link header.
  uint64_t tx_errors = 0;             // Dropped: the device refused it.
};

class Interface {
 public:
  struct Config {
    std::string name;
    MacAddress mac;
    uint32_t mtu = 1500;  // Largest IP packet, bytes.
    // The device completes Checksum::Needed, or its bytes never leave the process.
    bool checksum_offload = false;
    uint32_t max_gso = 0;  // Largest payload the device cuts itself; 0 when it does not.
  };

  static constexpr uint32_t kLinkHeader = 14 + 4;  // Ethernet and one VLAN tag.

  Interface(Config config, Loop& loop)
      : config_(std::move(config)), link_mtu_(config_.mtu), loop_(loop) {}
  virtual ~Interface() = default;
  Interface(const Interface&) = delete;
  Interface& operator=(const Interface&) = delete;

  // From the stack. Packets begin with their Ethernet header.
  void transmit(Frame&& frame) { transmit(std::move(frame), max_frame()); }
  // The same of an interface on this one, whose packets only the link's own MTU bounds.
  void transmit_above(Frame&& frame) { transmit(std::move(frame), link_frame()); }
  // From the device: complete Ethernet frames that have arrived now.
  void receive(Frame&& frame);

  void attach(FrameSink* input) { input_ = input; }
  void add_tap(PacketTap* tap) { taps_.push_back(tap); }
  void remove_tap(PacketTap* tap) { std::erase(taps_, tap); }

  const std::string& name() const { return config_.name; }
  const MacAddress& mac() const { return config_.mac; }
  uint32_t mtu() const { return config_.mtu; }
  // What its link carries, however small its own MTU was set since.
  uint32_t link_mtu() const { return std::max(link_mtu_, config_.mtu); }
  uint32_t link_frame() const { return link_mtu() + kLinkHeader; }
  // The longest frame that transmit() lets pass, unless the device cuts it.
  virtual uint32_t max_frame() const { return config_.mtu + kLinkHeader; }
  const Config& config() const { return config_; }
  bool is_up() const { return up_; }
  void set_up(bool up) { up_ = up; }
  void set_mtu(uint32_t mtu) { config_.mtu = mtu; }
  // Of its link, where that changes.
  void set_link_mtu(uint32_t mtu) { link_mtu_ = mtu; }
  uint16_t index() const { return index_; }  // Set by the stack that it is attached to.
  void set_index(uint16_t index) { index_ = index; }
  const InterfaceCounters& counters() const { return counters_; }
  Loop& loop() { return loop_; }

 protected:
  // Hands packets to the medium. Everything given is within the MTU and counted.
  virtual void send(Frame&& frame) = 0;
  // Before a device reads what it will receive().
  void announce() {
    if (input_ != nullptr) input_->expect();
  }
  void count_tx_error() { ++counters_.tx_errors; }

 private:
  void transmit(Frame&& frame, uint32_t max_frame);
  void show(const Packet& packet, Direction direction);

  Config config_;
  uint32_t link_mtu_;
  Loop& loop_;
  FrameSink* input_ = nullptr;
  std::vector<PacketTap*> taps_;
  InterfaceCounters counters_;
  uint16_t index_ = 0;
  bool up_ = true;
};

}  // namespace wh::net
