#include "host/packet_interface.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include "host/offload.h"
#include "host/segment_run.h"
#include "host/system.h"
#include "net/wire/wire.h"

namespace wh::host {
namespace {

constexpr size_t kSlotsKept = 1024, kSegmentsKept = 64;  // Chunks kept: 1.5 and 4 MiB.
constexpr uint32_t kBlockSize = 1 << 16;                 // Of the ring: the kernel allocates these.
// Before the frame in a slot: its header, the link address, the virtio header, and alignment.
constexpr uint32_t kBeforeFrame = 128;
// PACKET_FANOUT_FLAG_IGNORE_OUTGOING of newer headers. A group needs it: PACKET_IGNORE_OUTGOING
// does not hold there. Kernels that do not know it pass what is sent, which is_outgoing() finds.
constexpr uint32_t kFanoutIgnoreOutgoing = 0x4000;
constexpr int kSocketBuffer = 8 << 20;  // Uncut segments that wait, in either direction.

template <class Value>
Result<void> set_option(int fd, int level, int option, const Value& value,
                        std::string_view attempt) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0) return os_error("{}", attempt);
  return {};
}

bool is_outgoing(const tpacket2_hdr& slot) {
  static_assert(sizeof slot % TPACKET_ALIGNMENT == 0);
  sockaddr_ll address;
  // Sound: the kernel writes the frame's address behind the slot's header (packet(7)).
  std::memcpy(&address, &slot + 1, sizeof address);
  return address.sll_pkttype == PACKET_OUTGOING;
}

uint32_t slot_size(uint32_t mtu) {
  return std::bit_ceil(mtu + DeviceInterface::kLinkHeader + kBeforeFrame);
}

tpacket_req ring_request(uint32_t size, uint32_t slots) {
  tpacket_req request{};
  request.tp_frame_size = size;
  request.tp_block_size = std::max(kBlockSize, size);
  const uint32_t per_block = request.tp_block_size / size;
  request.tp_block_nr = (slots + per_block - 1) / per_block;
  request.tp_frame_nr = request.tp_block_nr * per_block;
  return request;
}

// Frames are given to the link's sockets by their flow's hash, which is the same both ways.
uint32_t fanout_of(const LinkInfo& link) {
  // The group's number, which no other process on this link should have.
  const uint32_t number = (static_cast<uint32_t>(::getpid()) * 61 + link.index) & 0xffff;
  return number | uint32_t{PACKET_FANOUT_HASH | kFanoutIgnoreOutgoing} << 16;
}

// A packet socket bound to the link, with its ring set up but not mapped. The order matters: the
// ring's layout depends on the options before it, and nothing arrives until it is bound.
Result<Fd> open_socket(const LinkInfo& link, uint32_t slots, PacketInterface::Receive receive) {
  using Receive = PacketInterface::Receive;
  Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return os_error("open a packet socket for {}", link.name);
  const std::string what = fmt::format("set up the packet socket of {}", link.name);
  auto set = [&](int option, auto value) {
    return set_option(fd.raw(), SOL_PACKET, option, value, what);
  };
  TRY(set(PACKET_VERSION, int{TPACKET_V2}));
  TRY(set(PACKET_VNET_HDR, 1));
  TRY(set(PACKET_IGNORE_OUTGOING, 1));
  TRY(set(PACKET_COPY_THRESH, 1));  // What is too long for a slot waits in the socket.
  TRY(set(PACKET_RX_RING, ring_request(slot_size(link.mtu), slots)));
  // Beyond the system's limit where that is allowed, and up to it elsewhere.
  for (const auto& [forced, plain] :
       {std::pair(SO_SNDBUFFORCE, SO_SNDBUF), std::pair(SO_RCVBUFFORCE, SO_RCVBUF)}) {
    if (!set_option(fd.raw(), SOL_SOCKET, forced, kSocketBuffer, what)) {
      TRY(set_option(fd.raw(), SOL_SOCKET, plain, kSocketBuffer, what));
    }
  }
  packet_mreq promiscuous{};
  promiscuous.mr_ifindex = static_cast<int>(link.index);
  promiscuous.mr_type = PACKET_MR_PROMISC;
  TRY(set(PACKET_ADD_MEMBERSHIP, promiscuous));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  // A protocol that no frame has (RFC 1701 reserves it): the link's fate is still reported. What
  // such a socket sends needs an address that says otherwise (address_frames()).
  constexpr uint16_t kNothing = 0xffff;
  address.sll_protocol = receive == Receive::None ? kNothing : __builtin_bswap16(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(link.index);
  // Sound: bind(2) takes any socket address by its common beginning.
  if (::bind(fd.raw(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return os_error("bind a packet socket to {}", link.name);
  }
  if (receive == Receive::Share) TRY(set(PACKET_FANOUT, fanout_of(link)));
  return fd;
}

}  // namespace

net::MacAddress own_mac(const net::MacAddress& link) {
  net::MacAddress mac = link;
  mac.bytes[0] = 0x02;
  mac.bytes[1] = 0xfe;
  return mac;
}

// --- the ring ---

PacketInterface::Ring::~Ring() {
  ::munmap(memory_, size_t{slot_size_} * slots_);
}

tpacket2_hdr* PacketInterface::Ring::filled() const {
  // Sound: the kernel lays a tpacket2_hdr at the beginning of each slot.
  auto* slot = reinterpret_cast<tpacket2_hdr*>(memory_ + size_t{next_} * slot_size_);
  const uint32_t status = std::atomic_ref(slot->tp_status).load(std::memory_order_acquire);
  return (status & TP_STATUS_USER) != 0 ? slot : nullptr;
}

bool PacketInterface::Ring::any_filled() const {
  for (uint32_t i = 0; i < slots_; ++i) {
    // Sound: as filled().
    auto* slot = reinterpret_cast<tpacket2_hdr*>(memory_ + size_t{i} * slot_size_);
    const uint32_t status = std::atomic_ref(slot->tp_status).load(std::memory_order_relaxed);
    if ((status & TP_STATUS_USER) != 0) return true;
  }
  return false;
}

void PacketInterface::Ring::give_back(tpacket2_hdr* slot) {
  std::atomic_ref(slot->tp_status).store(TP_STATUS_KERNEL, std::memory_order_release);
  next_ = next_ + 1 == slots_ ? 0 : next_ + 1;
}

// --- opening ---

Result<std::unique_ptr<PacketInterface>> PacketInterface::open(Options options, RealLoop& loop,
                                                               net::PacketPool& pool) {
  Rtnetlink kernel = TRY(Rtnetlink::open());
  LinkInfo link = TRY(kernel.link(options.link));
  if (options.receive == Receive::None) options.slots = 1;
  Fd fd = TRY(open_socket(link, options.slots, options.receive));
  TRY(kernel.set_up(options.link));
  return adopt(std::move(fd), std::move(options), std::move(link), std::move(kernel), loop, pool);
}

Result<std::unique_ptr<PacketInterface>> PacketInterface::open(Options options, const Netns& space,
                                                               RealLoop& loop,
                                                               net::PacketPool& pool) {
  Rtnetlink kernel = TRY(space.netlink());
  LinkInfo link = TRY(kernel.link(options.link));
  if (options.receive == Receive::None) options.slots = 1;
  Fd fd = TRY(space.open([&] { return open_socket(link, options.slots, options.receive); }));
  TRY(kernel.set_up(options.link));
  return adopt(std::move(fd), std::move(options), std::move(link), std::move(kernel), loop, pool);
}

Result<std::unique_ptr<PacketInterface>> PacketInterface::adopt(Fd fd, Options options,
                                                                LinkInfo link, Rtnetlink kernel,
                                                                RealLoop& loop,
                                                                net::PacketPool& pool) {
  const tpacket_req request = ring_request(slot_size(link.mtu), options.slots);
  const size_t size = size_t{request.tp_frame_size} * request.tp_frame_nr;
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.raw(), 0);
  if (memory == MAP_FAILED) return os_error("map the ring of {}", link.name);
  auto ring = std::make_unique<Ring>(static_cast<uint8_t*>(memory), request.tp_frame_size,
                                     request.tp_frame_nr);
  TRY(kernel.hear_changes());
  const LinkInfo now = TRY(kernel.link(link.index));  // It was set up since, for one thing.
  Config config{.name = options.name.empty() ? link.name : options.name,
                .mac = options.mac == net::MacAddress{} ? own_mac(link.mac) : options.mac,
                .mtu = now.mtu,
                .checksum_offload = true,
                .max_gso = kMaxGso};
  std::unique_ptr<PacketInterface> made(
      new PacketInterface(std::move(fd), std::move(config), options.queue_limit, std::move(ring),
                          link.index, std::move(kernel), loop, pool));
  if (options.receive == Receive::None) {
    made->address_frames();
    made->receives_nothing();
  }
  made->note_link(now.mtu, now.has_carrier);
  TRY(made->link_watch_.watch(made->kernel_.fd()));
  TRY(made->start());
  return made;
}

PacketInterface::PacketInterface(Fd fd, Config config, size_t queue_limit,
                                 std::unique_ptr<Ring> ring, uint32_t link, Rtnetlink kernel,
                                 RealLoop& loop, net::PacketPool& pool)
    : DeviceInterface(std::move(fd), std::move(config), queue_limit, loop),
      pool_(pool),
      ring_(std::move(ring)),
      small_pool_(ring_->slot_size(), kSlotsKept),
      large_pool_(kLargestSegment + kLinkHeader, kSegmentsKept),
      outbox_(std::make_unique<Outbox>()),
      link_(link),
      kernel_(std::move(kernel)),
      link_watch_(loop, this->name() + " link", [this] {
        kernel_.forget_changes();
        look_at_link();
        return Progress::Some;
      }) {
  link_watch_.set_background();
}

PacketInterface::~PacketInterface() {
  link_watch_.unwatch();
}

// --- what becomes of the link ---

void PacketInterface::look_at_link() {
  const auto now = kernel_.link(link_);
  if (now) return note_link(now->mtu, now->has_carrier);
  // Its socket tells as well (note_error()), but not one that receives nothing.
  if (now.error().code == std::errc::no_such_device && is_open()) close();
}

// --- from the kernel ---

Progress PacketInterface::read_frames() {
  net::Frame frame;
  uint32_t slots = 0, bytes = 0;
  for (; slots < net::Frame::kCapacity && bytes < kBatchBytes; ++slots) {
    tpacket2_hdr* slot = ring_->filled();
    if (slot == nullptr) break;
    if ((slot->tp_status & TP_STATUS_LOSING) != 0) count_lost();
    VirtioHeader header;
    net::PacketPtr packet = read_slot(*slot, header);
    if (packet != nullptr && !is_outgoing(*slot)) {
      bytes += packet->size();
      admit(std::move(packet), header, pool_, frame);
    }
    ring_->give_back(slot);
  }
  if (slots == 0) return note_error();
  if (!frame.empty()) deliver(std::move(frame));
  return Progress::Some;
}

net::PacketPtr PacketInterface::read_slot(tpacket2_hdr& slot, VirtioHeader& header) {
  net::PacketPtr packet = pool_.allocate();
  const bool is_queued = (slot.tp_status & TP_STATUS_COPY) != 0;
  if (packet == nullptr) {
    ++device().rx_no_packet;
    uint8_t byte;
    if (is_queued) ::recv(fd(), &byte, 1, MSG_DONTWAIT | MSG_TRUNC);  // Forgets the whole of it.
    return nullptr;
  }
  if (is_queued) {
    if (!read_queued(*packet, header)) return nullptr;
  } else if (slot.tp_len > slot.tp_snaplen) {
    ++device().rx_ring_full;  // Its beginning had room, but not the whole of it.
    return nullptr;
  } else {
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&slot) + slot.tp_mac;
    std::memcpy(&header, bytes - sizeof header, sizeof header);
    copy_slot(*packet, {bytes, slot.tp_snaplen});
  }
  if ((slot.tp_status & TP_STATUS_VLAN_VALID) != 0) restore_tag(*packet, slot, header);
  return packet;
}

// The frame that is too long for a slot: first in the socket's queue.
bool PacketInterface::read_queued(net::Packet& packet, VirtioHeader& header) {
  net::ChunkRef chunk = large_pool_.allocate();
  std::array<iovec, 3> parts{{{&header, sizeof header},
                              {packet.append(kHeadRead), kHeadRead},
                              {chunk->bytes(), chunk->capacity()}}};
  const ssize_t n = uninterrupted([&] { return ::readv(fd(), parts.data(), parts.size()); });
  if (n < static_cast<ssize_t>(sizeof header + kHeadRead)) {
    ++device().rx_too_long;
    return false;
  }
  const auto rest = static_cast<uint32_t>(n) - static_cast<uint32_t>(sizeof header) - kHeadRead;
  if (rest == chunk->capacity()) {
    ++device().rx_too_long;  // More than any IPv4 segment: it was cut short.
    return false;
  }
  packet.append(net::Slice{std::move(chunk), 0, rest});
  make_headers_contiguous(packet);
  return true;
}

void PacketInterface::copy_slot(net::Packet& packet, std::span<const uint8_t> frame) {
  const size_t in_head = frame.size() <= kShortFrame ? frame.size() : kHeadRead;
  std::memcpy(packet.append(static_cast<uint32_t>(in_head)), frame.data(), in_head);
  if (in_head == frame.size()) return;
  const auto rest = static_cast<uint32_t>(frame.size() - in_head);
  net::ChunkRef chunk = small_pool_.allocate();
  std::memcpy(chunk->bytes(), frame.data() + in_head, rest);
  packet.append(net::Slice{std::move(chunk), 0, rest});
  make_headers_contiguous(packet);
}

void PacketInterface::restore_tag(net::Packet& packet, const tpacket2_hdr& slot,
                                  VirtioHeader& header) {
  constexpr uint32_t kAddresses = 12, kTag = 4;
  if (packet.head_size() < kAddresses) return;
  const bool says_kind = (slot.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  uint8_t* front = packet.push(kTag);
  std::memmove(front, front + kTag, kAddresses);
  net::store16(front + kAddresses, says_kind ? slot.tp_vlan_tpid : uint16_t{ETH_P_8021Q});
  net::store16(front + kAddresses + 2, slot.tp_vlan_tci);
  header.checksum_start = static_cast<uint16_t>(header.checksum_start + kTag);
}

void PacketInterface::count_lost() {
  tpacket_stats statistics{};
  socklen_t size = sizeof statistics;
  // The kernel counts from zero after each question.
  if (::getsockopt(fd(), SOL_PACKET, PACKET_STATISTICS, &statistics, &size) == 0) {
    device().rx_ring_full += statistics.tp_drops;
  }
}

// Woken with nothing to read: the link went down, which may pass, or it was removed.
Progress PacketInterface::note_error() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error == 0) {
    return is_filling() ? Progress::Some : Progress::None;
  }
  sockaddr_ll address{};
  size = sizeof address;
  // Sound: as bind(2). A link that was removed leaves the index -1 behind; one that is on its way
  // out has its index still, but no kind of hardware.
  const int known = ::getsockname(fd(), reinterpret_cast<sockaddr*>(&address), &size);
  if (known != 0 || address.sll_ifindex <= 0 || address.sll_hatype == 0) close();
  return Progress::Some;
}

// Whether the socket is rightly called readable, though the next slot is not filled: a long frame
// is in its queue before its beginning is in the slot, and a slot behind may be filled before this
// one, by another processor. It lasts as long as a copy, and milliseconds where memory is slow to
// come or the processor is taken from the kernel meanwhile.
bool PacketInterface::is_filling() const {
  int queued = 0;
  return (::ioctl(fd(), SIOCINQ, &queued) == 0 && queued > 0) || ring_->any_filled();
}

// --- to the kernel ---

// The messages of one sendmmsg(2): each is a frame, or a run of segments that is written as one.
struct PacketInterface::Outbox {
  std::array<mmsghdr, kBatch> messages;
  std::array<VirtioHeader, kBatch> headers;
  std::array<SegmentRun, kBatch> runs;
  std::array<uint32_t, kBatch> packets;  // Of each message.
  IoParts parts;
  size_t count = 0;
  sockaddr_ll to{};  // Of every message; no family: where the socket is bound to.

  void clear() {
    parts.clear();
    count = 0;
  }
  bool has_room() const { return count < kBatch && parts.has_room(1); }

  // A message of the first packet and those that continue it. False when it asks for work that
  // cannot be expressed.
  bool add(std::span<net::Packet* const> from) {
    const size_t begin = parts.used();
    packets[count] = add_message(from, runs[count], headers[count], parts);
    if (packets[count] == 0) return false;
    msghdr& message = messages[count++].msg_hdr;
    message = {};
    if (to.sll_family != 0) {
      message.msg_name = &to;
      message.msg_namelen = sizeof to;
    }
    message.msg_iov = parts.at(begin);
    message.msg_iovlen = parts.used() - begin;
    return true;
  }
};

// This has the kernel read each frame's protocol.
void PacketInterface::address_frames() {
  outbox_->to.sll_family = AF_PACKET;
  outbox_->to.sll_protocol = __builtin_bswap16(ETH_P_ALL);
  outbox_->to.sll_ifindex = static_cast<int>(link_);
}

size_t PacketInterface::write_frames(std::span<net::Packet* const> packets) {
  Outbox& out = *outbox_;
  size_t done = 0;
  while (done < packets.size()) {
    out.clear();
    size_t looked_at = done;
    while (looked_at < packets.size() && out.has_room() && out.add(packets.subspan(looked_at))) {
      looked_at += out.packets[out.count - 1];
    }
    if (out.count == 0) {
      drop(device().tx_cannot);
      ++done;
      continue;
    }
    const int sent = uninterrupted(
        [&] { return ::sendmmsg(fd(), out.messages.data(), static_cast<unsigned>(out.count), 0); });
    for (int i = 0; i < sent; ++i) done += out.packets[static_cast<size_t>(i)];
    if (sent >= 0) continue;
    if (errno == EAGAIN) break;
    // The first message was refused for good.
    uint64_t& reason = errno == ENOBUFS ? device().tx_queue_full : device().tx_refused;
    for (uint32_t i = 0; i < out.packets[0]; ++i) drop(reason);
    done += out.packets[0];
  }
  return done;
}

}  // namespace wh::host
