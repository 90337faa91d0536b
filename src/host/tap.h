// An interface whose other end is a TAP device of the Linux kernel.
//
//   vnet or link --- Interface --- TapInterface ---(one frame a system call)--- tap0 --- kernel
//
// Each wake-up reads up to kBatch frames into packets and hands them on as one Frame. A frame is
// read where it is to stay: its headers land in the packet's head, its payload in a chunk behind
// it, so that TCP can refer to the payload as it came; a short frame is moved into the head whole,
// and the chunk used again. Output is written from where the packet's parts lie.
//
// With Offload::ChecksumAndTso the kernel hands over TCP segments of up to 64 KiB with their
// checksum left open, and takes the same (host/offload.h). Without, every frame is whole.
//
// When the kernel does not take a frame at once, it waits in a queue of Options::queue_limit
// packets; what does not fit is dropped and counted. The device goes when its interface does.
// Any descriptor that keeps messages apart can stand in for a TAP: adopt() takes a socket of
// SOCK_SEQPACKET as well, without virtio headers.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "core/result.h"
#include "host/fd.h"
#include "host/netns.h"
#include "host/real_loop.h"
#include "net/interface.h"

namespace wh::host {

enum class Offload : uint8_t { None, ChecksumAndTso };

// Beside Interface's own counters: what happened at the border.
struct TapCounters {
  uint64_t rx_wakes = 0;       // Wake-ups that found frames.
  uint64_t rx_no_packet = 0;   // Dropped: the pool is at its limit.
  uint64_t rx_too_long = 0;    // Dropped: longer than the MTU allows.
  uint64_t rx_bad_header = 0;  // Dropped: a virtio header that makes no sense.
  uint64_t tx_queued = 0;      // Had to wait for the kernel.
  uint64_t tx_queue_full = 0;  // Dropped: too many waited already.
  uint64_t tx_cannot = 0;      // Dropped: asks for an offload that the device does not do.
  uint64_t tx_refused =
      0;  // Dropped: the kernel said no (the device is down, the frame too short).
};

class TapInterface final : public net::Interface {
 public:
  static constexpr uint32_t kBatch = 64;

  struct Options {
    std::string device;   // The kernel's name for it, at most 15 characters; "" lets it choose.
    net::MacAddress mac;  // Of this side. The kernel's side has its own.
    uint32_t mtu = 1500;  // Of this side; the kernel's is set by Rtnetlink.
    Offload offload = Offload::None;
    size_t queue_limit = 512;
  };

  // Makes the device in this process' network namespace. REQUIRES: loop and pool outlive it.
  // Errors: no /dev/net/tun, no right to it, the name is taken or too long.
  static Result<std::unique_ptr<TapInterface>> open(Options options, RealLoop& loop,
                                                    net::PacketPool& pool);
  // The same in another namespace.
  static Result<std::unique_ptr<TapInterface>> open(Options options, const Netns& space,
                                                    RealLoop& loop, net::PacketPool& pool);
  // Takes a descriptor that is open already: from open_tap(), or a socket of SOCK_SEQPACKET.
  static Result<std::unique_ptr<TapInterface>> adopt(Fd fd, Options options, RealLoop& loop,
                                                     net::PacketPool& pool);
  ~TapInterface() override;

  // False once the device has been deleted or the other end of the socket closed.
  bool is_open() const { return watch_.is_watching(); }
  size_t queued() const { return queue_.size(); }
  const TapCounters& tap_counters() const { return tap_; }

 protected:
  void send(net::Frame frame) override;

 private:
  enum class Read : uint8_t { Frame, Dropped, Empty, Gone };

  TapInterface(Fd fd, Config config, Options options, RealLoop& loop, net::PacketPool& pool);
  Progress read_frames();
  Read read_frame(net::Packet& packet);
  Read discard_frame();
  void place(net::Packet& packet, uint32_t size);
  void enqueue(net::PacketPtr packet);
  bool write(net::Packet& packet);
  void close();
  Progress write_queued();

  Fd fd_;
  Options options_;
  net::PacketPool& pool_;
  uint32_t small_capacity_;      // Of the chunk behind the head: what the MTU allows.
  net::ChunkRef small_, large_;  // Read into next; they go with the packet if it needs them.
  net::PacketPtr spare_;         // Read into next.
  std::deque<net::PacketPtr> queue_;
  TapCounters tap_;
  FdWatch watch_;
};

// A new TAP device in the calling process' network namespace, which goes when the descriptor is
// closed. Errors: as TapInterface::open.
Result<Fd> open_tap(const std::string& device, Offload offload);

}  // namespace wh::host
