// An interface whose other end is a TAP device of the Linux kernel.
//
//   vnet or link --- Interface --- TapInterface ---(system calls)--- tap0 --- kernel
//
// Each wake-up reads up to kBatch frames or kBatchBytes into packets and hands them on as one
// Frame. A frame is read where its payload is to stay, a chunk, so that TCP can refer to it as it
// came; headers go to the packet's head, and so does a short frame whole, and the chunk is used
// again. A frame is written from one buffer, a segment from where the packet's parts lie.
//
// What passes is said by Offload. With ChecksumAndTso the kernel hands over TCP segments of up to
// 64 KiB with their checksum left open, and takes the same (host/offload.h). With Join every frame
// is whole and summed for those on this side, and so the kernel's are; but segments that leave
// together and continue each other are written as one (host/segment_run.h): a device's driver gives
// a kernel the same after GRO, which a TAP has not. A frame that leaves alone is written alone.
//
// The device goes when its interface does.
// Any descriptor that keeps messages apart can stand in for a TAP: adopt() takes a socket of
// SOCK_SEQPACKET as well, without virtio headers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "host/device_interface.h"
#include "host/netns.h"
#include "host/segment_run.h"
#include "net/chunk_pool.h"

namespace wh::host {

enum class Offload : uint8_t {
  None,  // A read or a write is a frame, and nothing else.
  Join,
  ChecksumAndTso,
};

class TapInterface final : public DeviceInterface {
 public:
  struct Options {
    std::string device;     // The kernel's name for it, at most 15 characters; "" lets it choose.
    std::string name = {};  // Of this interface; "": the device's.
    net::MacAddress mac;    // Of this side. The kernel's side has its own.
    uint32_t mtu = 1500;    // Of this side; the kernel's is set by Rtnetlink.
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

 private:
  enum class Read : uint8_t { Frame, Dropped, Empty, Gone };

  TapInterface(Fd fd, Config config, Offload offload, size_t queue_limit, RealLoop& loop,
               net::PacketPool& pool);
  Progress read_frames() override;
  size_t write_frames(std::span<net::Packet* const> packets) override;
  Read read_frame(net::Packet& packet, VirtioHeader& header);
  Read read_whole(net::Packet& packet);
  Read read_offloaded(net::Packet& packet, VirtioHeader& header);
  Read discard_frame();
  void place(net::Packet& packet, uint32_t size);
  uint32_t write(std::span<net::Packet* const> packets);
  ssize_t write_plain(net::Packet& packet);
  uint32_t header_size() const;
  uint32_t before_frame() const;

  Offload offload_;
  net::PacketPool& pool_;
  net::ChunkPool small_pool_, large_pool_;
  net::ChunkRef small_, large_;    // Read into next; they go with the packet if it needs them.
  net::PacketPtr spare_;           // Read into next.
  std::vector<uint8_t> gathered_;  // Written from.
  SegmentRun run_{SegmentRun::Identification::MayChange};
  IoParts parts_;
};

// A new TAP device in the calling process' network namespace, which goes when the descriptor is
// closed. Errors: as TapInterface::open.
Result<Fd> open_tap(const std::string& device, Offload offload);

}  // namespace wh::host
