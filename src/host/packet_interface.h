// An interface of the Linux kernel, taken over through a packet socket (AF_PACKET, packet(7)).
//
//   eth0 ... --- kernel: copy into a slot ---> ring ---> PacketInterface --- Interface --- vnet
//            <--- kernel: copy out ------- sendmmsg(2) ------'
//
// Received frames lie in a ring shared with the kernel (TPACKET_V2: a frame is ours as soon as it
// is there, without the kernel waiting for a block to fill). A slot holds a frame of the link's
// MTU. A longer one, a TCP or UDP segment that was not cut yet, leaves its beginning in the slot
// and waits whole in the socket's queue, from where one recvmsg(2) takes it; so the ring stays
// small however long segments are. Output goes out in vectors, one system call each, and segments
// of one flow that follow each other as one (host/segment_run.h).
//
// Before each frame stands a virtio header (PACKET_VNET_HDR): open checksums and uncut segments
// pass in both directions and are completed by the kernel if the device does not. Whatever is
// switched on or off at the device or its peer, the frames that leave are right.
//
// What becomes of the link is followed: its MTU and whether it has a carrier. Slots stay as long as
// the MTU was at first; a frame of a larger one since is longer than a slot.
//
// The kernel's own stack still sees what arrives. The link is made promiscuous and this side has a
// MAC address of its own, so the kernel takes no packet for its own and answers nothing. A VLAN tag
// that the device took off is put back.
#pragma once

#include <memory>
#include <string>

#include "host/device_interface.h"
#include "host/netns.h"
#include "host/rtnetlink.h"
#include "net/chunk_pool.h"

struct tpacket2_hdr;

namespace wh::host {

class PacketInterface final : public DeviceInterface {
 public:
  // What a socket gets of the frames that arrive.
  enum class Receive : uint8_t {
    All,
    Share,  // Those of some flows, both ways: the link's sockets of this process share them.
    None,
  };
  struct Options {
    std::string link;       // The kernel's interface.
    std::string name = {};  // Of this interface; "": the link's.
    // Of this side; all zero: made of the link's own, locally administered, and always the same.
    net::MacAddress mac = {};
    uint32_t slots = 2048;  // Of the ring, at most 65536; 2 KiB each at an MTU of 1500.
    size_t queue_limit = 512;
    Receive receive = Receive::All;
  };

  // Takes the link over and sets it up. REQUIRES: loop and pool outlive it.
  // Errors: no such link, no right to (CAP_NET_RAW), no memory for the ring.
  static Result<std::unique_ptr<PacketInterface>> open(Options options, RealLoop& loop,
                                                       net::PacketPool& pool);
  // The same for a link in another namespace.
  static Result<std::unique_ptr<PacketInterface>> open(Options options, const Netns& space,
                                                       RealLoop& loop, net::PacketPool& pool);
  ~PacketInterface() override;

 private:
  class Ring {
   public:
    Ring(uint8_t* memory, uint32_t slot_size, uint32_t slots)
        : memory_(memory), slot_size_(slot_size), slots_(slots) {}
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring();
    // The next slot if the kernel has filled it, else null.
    tpacket2_hdr* filled() const;
    void give_back(tpacket2_hdr* slot);
    bool any_filled() const;  // Looks at all of them.
    uint32_t slot_size() const { return slot_size_; }

   private:
    uint8_t* memory_;
    uint32_t slot_size_, slots_, next_ = 0;
  };

  // `link` is as it was when the socket was set up.
  static Result<std::unique_ptr<PacketInterface>> adopt(Fd fd, Options options, LinkInfo link,
                                                        Rtnetlink kernel, RealLoop& loop,
                                                        net::PacketPool& pool);
  PacketInterface(Fd fd, Config config, size_t queue_limit, std::unique_ptr<Ring> ring,
                  uint32_t link, Rtnetlink kernel, RealLoop& loop, net::PacketPool& pool);
  void look_at_link();
  Progress read_frames() override;
  size_t write_frames(std::span<net::Packet* const> packets) override;
  net::PacketPtr read_slot(tpacket2_hdr& slot, VirtioHeader& header);
  bool read_queued(net::Packet& packet, VirtioHeader& header);
  void copy_slot(net::Packet& packet, std::span<const uint8_t> frame);
  void restore_tag(net::Packet& packet, const tpacket2_hdr& slot, VirtioHeader& header);
  // For a socket that is bound to no protocol that there is: what it sends would be of that one,
  // and the kernel cannot cut a segment of a protocol it does not know.
  void address_frames();
  void count_lost();
  Progress note_error();
  bool is_filling() const;

  net::PacketPool& pool_;
  std::unique_ptr<Ring> ring_;
  net::ChunkPool small_pool_, large_pool_;
  struct Outbox;
  std::unique_ptr<Outbox> outbox_;
  uint32_t link_;  // Its number.
  Rtnetlink kernel_;
  FdWatch link_watch_;
};

// A locally administered MAC address made of a link's own, always the same.
net::MacAddress own_mac(const net::MacAddress& link);

}  // namespace wh::host
