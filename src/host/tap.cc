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

// Ethernet, IPv4 and TCP with a timestamp: the headers of nearly every long frame, and no more, so
// that the payload begins where the chunk does.
constexpr uint32_t kHeadRead = 66;
// A frame that fits in a packet's head is moved there whole.
constexpr uint32_t kShortFrame = net::Packet::kHeadCapacity - net::Packet::kHeadroom;
constexpr uint32_t kLinkHeader = 14 + 4;  // Ethernet and one VLAN tag, as Interface counts.
// More than this no headers take: two tags, all of IPv4's options and all of TCP's.
constexpr uint32_t kMostHeaders = 22 + 60 + 60;
constexpr uint32_t kLargestSegment = 65536;
// Payload of the longest segment: IPv4's length field counts its own header and TCP's.
constexpr uint32_t kMaxGso = 65535 - 60 - 60;

}  // namespace

Result<Fd> open_tap(const std::string& device, Offload offload) {
  ifreq request{};
  if (device.size() >= sizeof request.ifr_name) {
    return fail("make TAP device '{}': a name has at most {} characters", device, IFNAMSIZ - 1);
  }
  device.copy(request.ifr_name, device.size());
  const bool offloads = offload == Offload::ChecksumAndTso;
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | (offloads ? IFF_VNET_HDR : 0));
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
  Config config{.name = options.device,
                .mac = options.mac,
                .mtu = options.mtu,
                .checksum_offload = offloads,
                .max_gso = offloads ? kMaxGso : 0u};
  std::unique_ptr<TapInterface> tap(
      new TapInterface(std::move(fd), std::move(config), std::move(options), loop, pool));
  TRY(tap->watch_.watch(tap->fd_.raw()));
  return tap;
}

TapInterface::TapInterface(Fd fd, Config config, Options options, RealLoop& loop,
                           net::PacketPool& pool)
    : Interface(std::move(config), loop),
      fd_(std::move(fd)),
      options_(std::move(options)),
      pool_(pool),
      // One byte more than the longest frame, which tells a longer one from it.
      small_capacity_(std::max(options_.mtu + kLinkHeader + 1, kShortFrame + 1) - kHeadRead),
      watch_(
          loop, options_.device, [this] { return read_frames(); },
          [this] { return write_queued(); }) {}

TapInterface::~TapInterface() {
  watch_.unwatch();
}

// --- from the kernel ---

Progress TapInterface::read_frames() {
  net::Frame frame;
  uint32_t reads = 0;
  for (; reads < kBatch; ++reads) {
    if (spare_ == nullptr) spare_ = pool_.allocate();
    const Read read = spare_ != nullptr ? read_frame(*spare_) : discard_frame();
    if (read == Read::Empty) break;
    if (read == Read::Gone) {
      close();
      break;
    }
    if (read == Read::Frame) frame.push(std::move(spare_));
  }
  const bool progress = reads > 0 || !is_open();
  if (!frame.empty()) {
    ++tap_.rx_wakes;
    receive(std::move(frame));
  }
  return progress ? Progress::Some : Progress::None;
}

TapInterface::Read TapInterface::read_frame(net::Packet& packet) {
  const bool offloads = config().checksum_offload;
  if (!small_) small_ = net::ChunkRef::make(small_capacity_);
  if (offloads && !large_) large_ = net::ChunkRef::make(kLargestSegment);
  packet.clear();
  VirtioHeader header;
  std::array<iovec, 4> parts{{{&header, sizeof header},
                              {packet.append(kHeadRead), kHeadRead},
                              {small_->bytes(), small_capacity_},
                              {nullptr, 0}}};
  if (offloads) parts[3] = {large_->bytes(), kLargestSegment};
  const size_t skip = offloads ? 0 : 1;
  const ssize_t n =
      uninterrupted([&] { return ::readv(fd_.raw(), &parts[skip], offloads ? 4 : 2); });
  if (n < 0 && errno == EAGAIN) return Read::Empty;
  if (n <= 0) return Read::Gone;  // EBADFD: the device was deleted. 0: the socket's peer closed.
  const size_t before = offloads ? sizeof header : 0;
  const size_t size = static_cast<size_t>(n) - std::min(static_cast<size_t>(n), before);
  if (size >= kHeadRead + small_capacity_ + (offloads ? kLargestSegment : 0)) {
    ++tap_.rx_too_long;
    return Read::Dropped;
  }
  place(packet, static_cast<uint32_t>(size));
  if (offloads && !note_offload(header, packet)) {
    ++tap_.rx_bad_header;
    return Read::Dropped;
  }
  if (packet.gso_size == 0 && packet.size() > mtu() + kLinkHeader) {
    ++tap_.rx_too_long;
    return Read::Dropped;
  }
  return Read::Frame;
}

TapInterface::Read TapInterface::discard_frame() {
  uint8_t byte;
  const ssize_t n = uninterrupted([&] { return ::read(fd_.raw(), &byte, 1); });
  if (n < 0 && errno == EAGAIN) return Read::Empty;
  if (n <= 0) return Read::Gone;
  ++tap_.rx_no_packet;
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
  const uint32_t in_small = std::min(rest, small_capacity_);
  packet.append(net::Slice{std::move(small_), 0, in_small});
  if (rest > in_small) packet.append(net::Slice{std::move(large_), 0, rest - in_small});
  // IPv6, or options: the headers are longer than what was read into the head.
  if (packet.data()[14] != 0x45) packet.pullup(kHeadRead + 20);
  const auto layout = lay_out(packet.head());
  packet.pullup(std::min(layout ? layout->headers_end : kMostHeaders, size));
}

// --- to the kernel ---

void TapInterface::send(net::Frame frame) {
  for (uint32_t i = 0; i < frame.size(); ++i) {
    net::PacketPtr packet = frame.take(i);
    if (!queue_.empty() || !write(*packet)) enqueue(std::move(packet));
  }
}

void TapInterface::enqueue(net::PacketPtr packet) {
  if (queue_.size() >= options_.queue_limit) {
    ++tap_.tx_queue_full;
    count_tx_error();
    return;
  }
  ++tap_.tx_queued;
  queue_.push_back(std::move(packet));
  watch_.set_interest(Interest::ReadWrite);
}

void TapInterface::close() {
  watch_.unwatch();
  tap_.tx_refused += queue_.size();
  for (; !queue_.empty(); queue_.pop_front()) count_tx_error();
}

// Returns false when the kernel takes nothing now. What it refuses for good is dropped and counted.
bool TapInterface::write(net::Packet& packet) {
  const bool offloads = config().checksum_offload;
  std::optional<VirtioHeader> header = VirtioHeader{};
  if (offloads) header = describe_offload(packet);
  if (!header || (!offloads && packet.gso_size != 0)) {
    ++tap_.tx_cannot;
    count_tx_error();
    return true;
  }
  if (!offloads && packet.checksum == net::Checksum::Needed) net::complete_checksum(packet);
  std::array<iovec, 4> parts;
  int count = 0;
  auto add = [&](const void* data, size_t size) {
    // Sound: writev(2) reads what iovec points to, though the type lets it write.
    if (size != 0) parts[static_cast<size_t>(count++)] = {const_cast<void*>(data), size};
  };
  if (offloads) add(&*header, sizeof *header);
  packet.for_each_run(0, [&](std::span<const uint8_t> run) { add(run.data(), run.size()); });
  if (is_open()) {
    const ssize_t n = uninterrupted([&] { return ::writev(fd_.raw(), parts.data(), count); });
    if (n >= 0) return true;
    if (errno == EAGAIN) return false;
  }
  ++tap_.tx_refused;
  count_tx_error();
  return true;
}

Progress TapInterface::write_queued() {
  const size_t before = queue_.size();
  while (!queue_.empty() && write(*queue_.front())) queue_.pop_front();
  if (queue_.empty()) watch_.set_interest(Interest::Read);
  return queue_.size() < before ? Progress::Some : Progress::None;
}

}  // namespace wh::host
