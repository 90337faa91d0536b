// An interface whose medium is a descriptor: what TAP devices, packet sockets and socket pairs
// share.
//
// It reads while the descriptor is readable, and writes at once what a stack transmits. When the
// kernel takes no more, packets wait in a queue of at most `queue_limit`, in order; what does not
// fit is dropped and counted. When the device is gone, is_open() is false and output is refused. A
// device derives from it and says how frames are read and written.
//
// Its receive mode says what the loop does when there is nothing to read: sleep at once, never
// sleep, or poll on for a little where that has paid lately (host/alertness.h).
#pragma once

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"
#include "host/fd.h"
#include "host/real_loop.h"
#include "net/interface.h"

namespace wh::host {

struct VirtioHeader;

// Beside Interface's own counters: what happened at the border.
struct DeviceCounters {
  uint64_t rx_wakes = 0;       // Wake-ups that found frames.
  uint64_t rx_no_packet = 0;   // Dropped: the pool is at its limit.
  uint64_t rx_too_long = 0;    // Dropped: longer than the MTU allows.
  uint64_t rx_bad_header = 0;  // Dropped: the kernel's header before the frame makes no sense.
  uint64_t rx_cannot = 0;      // Dropped: asks for an offload that is not done here.
  uint64_t rx_ring_full = 0;   // Dropped by the kernel: we were too slow. Packet sockets only.
  uint64_t tx_queued = 0;      // Had to wait for the kernel.
  uint64_t tx_queue_full = 0;  // Dropped: too many waited already.
  uint64_t tx_cannot = 0;      // Dropped: asks for an offload that the device does not do.
  uint64_t tx_refused = 0;     // Dropped: the kernel said no (a device down, a short frame).
};

// All of them, for those who sum or show them.
struct DeviceCounterKind {
  uint64_t DeviceCounters::*value;
  std::string_view text;  // "rx ring full"
  bool is_loss = true;    // It counts frames that were dropped.
};
inline constexpr DeviceCounterKind kDeviceCounters[] = {
    {&DeviceCounters::rx_wakes, "rx wakes", false},
    {&DeviceCounters::rx_no_packet, "rx no packet"},
    {&DeviceCounters::rx_too_long, "rx too long"},
    {&DeviceCounters::rx_bad_header, "rx bad header"},
    {&DeviceCounters::rx_cannot, "rx cannot"},
    {&DeviceCounters::rx_ring_full, "rx ring full"},
    {&DeviceCounters::tx_queued, "tx queued", false},
    {&DeviceCounters::tx_queue_full, "tx queue full"},
    {&DeviceCounters::tx_cannot, "tx cannot"},
    {&DeviceCounters::tx_refused, "tx refused"},
};

enum class RxMode : uint8_t { Interrupt, Polling, Adaptive };

class DeviceInterface : public net::Interface {
 public:
  static constexpr uint32_t kBatch = 64;              // Frames read in one go,
  static constexpr uint32_t kBatchBytes = 256 << 10;  // or bytes: what a second-level cache holds.

  ~DeviceInterface() override;

  // False once the device has been deleted or the other end of the socket closed.
  bool is_open() const { return watch_.is_watching(); }
  void on_close(std::function<void()> action) { on_close_ = std::move(action); }
  // What is at the other end of its cable; true where nothing tells.
  bool has_carrier() const { return has_carrier_; }
  // Called when link_mtu() or has_carrier() has changed.
  void on_link_change(std::function<void()> action) { on_link_change_ = std::move(action); }
  // Interrupt when it was made.
  void set_rx_mode(RxMode mode);
  RxMode rx_mode() const { return rx_mode_; }
  size_t queued() const { return queue_.size(); }
  const DeviceCounters& device_counters() const { return device_; }

 protected:
  DeviceInterface(Fd fd, Config config, size_t queue_limit, RealLoop& loop);
  Result<void> start() { return watch_.watch(fd_.raw()); }

  // Reads what there is, up to a batch, and hands it to receive(). Calls close() when nothing will
  // come any more.
  virtual Progress read_frames() = 0;
  // Puts a packet that was read into `frame`, as the kernel's header says, in pieces if it must be
  // cut, or drops it with a counted reason. A frame that is full is delivered first.
  void admit(net::PacketPtr packet, const VirtioHeader& header, net::PacketPool& pool,
             net::Frame& frame);
  // Hands over what was read.
  void deliver(net::Frame&& frame);
  // Nothing will come: there is nothing to poll for. Before set_rx_mode().
  void receives_nothing() { is_receiving_ = false; }
  // What the link is like now.
  void note_link(uint32_t mtu, bool has_carrier);
  // Writes packets in order, or drops them with a counted reason; returns how many it is done with.
  // Fewer than all: the kernel takes no more now.
  virtual size_t write_frames(std::span<net::Packet* const> packets) = 0;

  int fd() const { return fd_.raw(); }
  DeviceCounters& device() { return device_; }
  void drop(uint64_t& reason);  // Counts a packet that will not be sent.
  void close();

 private:
  void push(net::PacketPtr packet, net::Frame& frame);
  void cut(net::Packet& whole, const VirtioHeader& header, net::PacketPool& pool,
           net::Frame& frame);
  void send(net::Frame&& frame) final;
  void enqueue(net::PacketPtr packet);
  Progress write_queued();

  // Frames read at once that are no bulk.
  static constexpr uint32_t kLoneFrames = 2;
  static constexpr uint32_t kLoneBytes = 4096;

  bool is_polling() const { return rx_mode_ == RxMode::Polling && is_receiving_; }

  RealLoop& loop_;
  Fd fd_;
  size_t queue_limit_;
  std::deque<net::PacketPtr> queue_;
  DeviceCounters device_;
  std::function<void()> on_close_, on_link_change_;
  RxMode rx_mode_ = RxMode::Interrupt;
  bool is_receiving_ = true;
  Alertness::Habit habit_ = 0;
  bool has_carrier_ = true;
  uint32_t link_mtu_told_;
  FdWatch watch_;
};

}  // namespace wh::host
