#include "host/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "host/offload.h"
#include "host/system.h"
#include "net/checksum.h"

namespace wh::host {
namespace {

// Chunks kept for reuse: 8 MiB of frames of an MTU of 1500, 16 MiB of segments.
constexpr size_t kKeepSmall = 4096, kKeepLarge = 256;

}  // namespace

Result<Fd> open_tap(const std::string& device, Offload offload) {
  ifreq request{};
  if (device.size() >= sizeof request.ifr_name) {
    return fail("make TAP device '{}': a name has at most {} characters", device, IFNAMSIZ - 1);
  }
  device.copy(request.ifr_name, device.size());
  const bool offloads = offload == Offload::ChecksumAndTso, has_header = offload != Offload::None;
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | (has_header ? IFF_VNET_HDR : 0));
  Fd fd = TRY(open_file("/dev/net/tun", O_RDWR | O_NONBLOCK));
  if (::ioctl(fd.raw(), TUNSETIFF, &request) != 0) return os_error("make TAP device '{}'", device);
  const unsigned long features = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (offloads && ::ioctl(fd.raw(), TUNSETOFFLOAD, features) != 0) {
    return os_error("switch on the offloads of {}", device);
  }
  return fd;
}

Result<std::unique_ptr<TapInterface>> TapInterface::open(Options options, RealLoop& loop,
                                                         net::PacketPool& pool) {
  Fd fd = TRY(open_tap(options.device, options.offload));
  return adopt(std::move(fd), std::move(options), loop, pool);
}

Result<std::unique_ptr<TapInterface>> TapInterface::open(Options options, const Netns& space,
                                                         RealLoop& loop, net::PacketPool& pool) {
  Fd fd = TRY(space.open([&] { return open_tap(options.device, options.offload); }));
  return adopt(std::move(fd), std::move(options), loop, pool);
}

Result<std::unique_ptr<TapInterface>> TapInterface::adopt(Fd fd, Options options, RealLoop& loop,
                                                          net::PacketPool& pool) {
  TRY(set_nonblocking(fd.raw()));
  ifreq request{};
  // A socket has no such name, and keeps the one it was given.
  if (::ioctl(fd.raw(), TUNGETIFF, &request) == 0) options.device = request.ifr_name;
  const bool offloads = options.offload == Offload::ChecksumAndTso;
  Config config{.name = options.name.empty() ? options.device : options.name,
                .mac = options.mac,
                .mtu = options.mtu,
                .checksum_offload = offloads,
                .max_gso = offloads ? kMaxGso : 0u};
  std::unique_ptr<TapInterface> tap(new TapInterface(
      std::move(fd), std::move(config), options.offload, options.queue_limit, loop, pool));
  TRY(tap->start());
  return tap;
}

TapInterface::TapInterface(Fd fd, Config config, Offload offload, size_t queue_limit,
                           RealLoop& loop, net::PacketPool& pool)
    : DeviceInterface(std::move(fd), std::move(config), queue_limit, loop),
      offload_(offload),
      pool_(pool),
      // What the MTU allows, and one byte more, which tells a longer frame from the longest.
      small_pool_(before_frame() + std::max(mtu() + kLinkHeader + 1, kShortFrame + 1), kKeepSmall),
      large_pool_(kLargestSegment, kKeepLarge) {}

// What the kernel puts before a frame, and wants there.
uint32_t TapInterface::header_size() const {
  return offload_ == Offload::None ? 0 : sizeof(VirtioHeader);
}

// Where in a chunk a whole frame begins: at a cache line, behind that header.
uint32_t TapInterface::before_frame() const {
  return offload_ == Offload::Join ? 64 : 0;
}

// --- from the kernel ---

Progress TapInterface::read_frames() {
  net::Frame frame;
  uint32_t reads = 0, bytes = 0;
  Read read = Read::Frame;
  for (; reads < kBatch && bytes < kBatchBytes; ++reads) {
    if (spare_ == nullptr) spare_ = pool_.allocate();
    VirtioHeader header;
    read = spare_ != nullptr ? read_frame(*spare_, header) : discard_frame();
    if (read == Read::Frame) {
      bytes += spare_->size();
      admit(std::move(spare_), header, pool_, frame);
      continue;
    }
    if (spare_ != nullptr) spare_->clear();
    if (read != Read::Dropped) break;
  }
  if (!frame.empty()) deliver(std::move(frame));
  if (read == Read::Gone) close();  // Last: whoever hears of it may destroy this.
  return reads > 0 || read == Read::Gone ? Progress::Some : Progress::None;
}

TapInterface::Read TapInterface::read_frame(net::Packet& packet, VirtioHeader& header) {
  if (!small_) small_ = small_pool_.allocate();
  return offload_ == Offload::ChecksumAndTso ? read_offloaded(packet, header) : read_whole(packet);
}

// One buffer: reading into several costs the kernel more than copying the headers costs us.
TapInterface::Read TapInterface::read_whole(net::Packet& packet) {
  uint8_t* const frame = small_->bytes() + before_frame();
  const uint32_t header = header_size(), room = small_->capacity() - before_frame();
  const ssize_t n = uninterrupted([&] { return ::read(fd(), frame - header, header + room); });
  if (n < 0 && errno == EAGAIN) return Read::Empty;
  if (n <= 0) return Read::Gone;  // EBADFD: the device was deleted. 0: the socket's peer closed.
  // The virtio header says nothing: no offload was asked for.
  const uint32_t size = static_cast<uint32_t>(n) - std::min(header, static_cast<uint32_t>(n));
  if (size > std::min(link_frame(), room - 1)) {
    ++device().rx_too_long;
    return Read::Dropped;
  }
  const uint32_t in_head = size <= kShortFrame ? size : kHeadRead;
  std::memcpy(packet.append(in_head), frame, in_head);
  if (size == in_head) return Read::Frame;
  packet.append(net::Slice{std::move(small_), before_frame() + in_head, size - in_head});
  make_headers_contiguous(packet);
  return Read::Frame;
}

TapInterface::Read TapInterface::read_offloaded(net::Packet& packet, VirtioHeader& header) {
  if (!large_) large_ = large_pool_.allocate();
  const std::array<iovec, 4> parts{{{&header, sizeof header},
                                    {packet.append(kHeadRead), kHeadRead},
                                    {small_->bytes(), small_->capacity()},
                                    {large_->bytes(), kLargestSegment}}};
  const ssize_t n = uninterrupted([&] { return ::readv(fd(), parts.data(), parts.size()); });
  if (n < 0 && errno == EAGAIN) return Read::Empty;
  if (n <= 0) return Read::Gone;
  const size_t size = static_cast<size_t>(n) - std::min(static_cast<size_t>(n), sizeof header);
  if (size >= kHeadRead + small_pool_.capacity() + kLargestSegment) {
    ++device().rx_too_long;
    return Read::Dropped;
  }
  place(packet, static_cast<uint32_t>(size));
  return Read::Frame;
}

TapInterface::Read TapInterface::discard_frame() {
  uint8_t byte;
  const ssize_t n = uninterrupted([&] { return ::read(fd(), &byte, 1); });
  if (n < 0 && errno == EAGAIN) return Read::Empty;
  if (n <= 0) return Read::Gone;
  ++device().rx_no_packet;
  return Read::Dropped;
}

// Makes a packet of the `size` bytes that lie in its head (kHeadRead of them), small_ and large_.
void TapInterface::place(net::Packet& packet, uint32_t size) {
  if (size <= kHeadRead) {
    packet.truncate(size);
    return;
  }
  const uint32_t rest = size - kHeadRead;
  if (size <= kShortFrame) {
    std::memcpy(packet.append(rest), small_->bytes(), rest);
    return;
  }
  const uint32_t in_small = std::min(rest, small_pool_.capacity());
  packet.append(net::Slice{std::move(small_), 0, in_small});
  if (rest > in_small) packet.append(net::Slice{std::move(large_), 0, rest - in_small});
  make_headers_contiguous(packet);
}

// --- to the kernel ---

size_t TapInterface::write_frames(std::span<net::Packet* const> packets) {
  size_t done = 0;
  while (done < packets.size()) {
    const uint32_t written = write(packets.subspan(done));
    if (written == 0) break;
    done += written;
  }
  return done;
}

// Returns how many it is done with; 0 when the kernel takes nothing now. What it refuses for good
// is dropped and counted.
uint32_t TapInterface::write(std::span<net::Packet* const> packets) {
  uint32_t count = 1;
  ssize_t n = 0;
  if (offload_ == Offload::None) {
    net::Packet& packet = *packets.front();
    if (packet.gso_size != 0 || !net::try_complete_checksum(packet)) {
      return drop(device().tx_cannot), 1;
    }
    n = write_plain(packet);
  } else {
    VirtioHeader header;
    parts_.clear();
    count = add_message(packets, run_, header, parts_);
    if (count == 0) return drop(device().tx_cannot), 1;
    const int parts = static_cast<int>(parts_.used());
    n = uninterrupted([&] { return ::writev(fd(), parts_.at(0), parts); });
  }
  if (n >= 0) return count;
  if (errno == EAGAIN) return 0;
  for (uint32_t i = 0; i < count; ++i) drop(device().tx_refused);
  return count;
}

// From one buffer, into which a frame of the MTU's size is gathered: cheaper than that the kernel
// gathers it.
ssize_t TapInterface::write_plain(net::Packet& packet) {
  std::span<const uint8_t> bytes = packet.head();
  if (packet.payload_size() != 0) {
    gathered_.resize(std::max<size_t>(gathered_.size(), packet.size()));
    packet.copy_out(0, std::span(gathered_).first(packet.size()));
    bytes = std::span(gathered_).first(packet.size());
  }
  return uninterrupted([&] { return ::write(fd(), bytes.data(), bytes.size()); });
}

}  // namespace wh::host
