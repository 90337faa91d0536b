// Reassembly of fragments (RFC 791 section 3.2, RFC 8200 section 4.5), the same for both families.
//
// Fragments of one packet wait in a *context*, sorted by where they belong. When they tile the
// packet without a gap it is put together in one copy. Bounds: contexts, fragments per context,
// fragments in all, bytes in all, and time; a new fragment beyond one of the first, third or fourth
// pushes the oldest context out, so that a flood of fragments that never complete cannot keep
// others' from completing.
//
// Overlaps. A fragment that overlaps another, other than repeating it exactly, spoils its packet:
// all of it is dropped and what still comes of it too, until its time is up. RFC 5722 demands this
// for IPv6; for IPv4, where RFC 791 would let the later bytes win, we choose the same, because
// every other choice lets two hosts on the path see two different packets (as Linux does since
// 2018). The first copy of an exact repetition is kept.
//
// ECN: a congestion mark on any fragment is on the whole; a mark beside a fragment that is not
// ECN-capable spoils it (RFC 3168 section 5.3).
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "core/intrusive_list.h"
#include "core/loop.h"
#include "net/address.h"
#include "net/packet.h"
#include "vnet/address_hash.h"

namespace wh::vnet {

struct FragmentKey {
  net::IpAddress source, destination;
  uint16_t vrf = 0;  // Hosts of two may have one address.
  uint32_t id = 0;
  uint8_t protocol = 0;  // IPv4 only.
  bool operator==(const FragmentKey&) const = default;
};

struct FragmentHash {
  SipKey key;
  size_t operator()(const FragmentKey& k) const {
    return address_hash(key, k.source, k.destination,
                        uint64_t{k.vrf} << 40 | uint64_t{k.protocol} << 32 | k.id);
  }
};

// One fragment: a packet whose data() is at its IP header, and which bytes of the whole's payload
// it brings.
struct Fragment {
  FragmentKey key;
  uint32_t begin = 0, end = 0;  // In the payload of the whole.
  uint32_t payload_at = 0;      // Of these bytes in the packet.
  uint32_t before = 0;          // Its headers' part of the length that the whole would say.
  bool is_last = false;
  uint8_t ecn = 0;
};

enum class FragmentOutcome : uint8_t {
  Waiting,    // Kept.
  Complete,   // The whole is in `complete`.
  Duplicate,  // Dropped, and so on:
  Overlap,
  Inconsistent,  // Beyond the end that the last fragment gave, or a second, different end.
  Spoiled,       // Of a packet that was spoilt before.
  TooLong,       // With the first fragment's headers beyond the longest packet.
  TooMany,       // More fragments than one packet may have.
  NoRoom,        // Larger than all fragments together may be.
};

// The bytes of a packet put together, and its first fragment, whose headers are the whole's.
struct Reassembled {
  net::PacketPtr first;
  uint32_t payload_at = 0;  // In `first`.
  net::ChunkRef payload;
  uint32_t size = 0;  // Of the payload.
  uint8_t ecn = 0;
  bool verified = false;  // Every fragment's checksum needs no look.
};

class Reassembler {
 public:
  struct Limits {
    int64_t contexts = 0, fragments_per_context = 0, fragments = 0, bytes = 0;
    Duration lifetime{};
  };
  struct Actions {
    std::function<Limits()> limits;
    // Gives back fragments: of a spoilt packet, pushed out by newer ones, or out of time (then
    // `first` says that this one begins the packet, and its sender is to be told).
    std::function<void(net::PacketPtr)> spoiled, evicted;
    std::function<void(net::PacketPtr, bool first)> expired;
    std::function<void()> settle;  // After the timer acted.
  };

  Reassembler(Loop& loop, Random random, Actions actions)
      : loop_(loop),
        contexts_(16, FragmentHash{SipKey::draw(random)}),
        actions_(std::move(actions)),
        timer_(loop, [this] { expire(); }) {}

  // Takes the packet when the outcome is Waiting or Complete; leaves it otherwise.
  FragmentOutcome add(const Fragment& fragment, net::PacketPtr& packet, Reassembled& complete);

  // Ends the packets of which a fragment is one that `which` names; all that is here of them goes
  // to `gone`.
  void drop_held(const std::function<bool(const net::Packet&)>& which,
                 const std::function<void(net::PacketPtr)>& gone);

  size_t contexts() const { return contexts_.size(); }
  size_t fragments() const { return fragments_; }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Piece {
    uint32_t begin, end, payload_at, before;
    net::PacketPtr packet;
  };
  struct Context {
    FragmentKey key;
    std::vector<Piece> pieces;  // Sorted, without overlap.
    uint32_t received = 0;      // Bytes of payload here.
    uint32_t total = 0;         // Known once the last fragment came; else 0.
    uint8_t ecn_seen = 0;       // A bit for each of the four code points.
    bool is_spoiled = false;
    Instant deadline{};
    ListLink by_age;
  };

  Context& context_of(const FragmentKey& key, const Limits& limits);
  bool make_room(const Context& keep, uint32_t bytes, const Limits& limits);
  void spoil(Context& context);
  void release(Context& context, const std::function<void(net::PacketPtr)>& to);
  void remove(Context& context);
  void assemble(Context& context, Reassembled& complete);
  void expire();
  void arm();

  Loop& loop_;
  std::unordered_map<FragmentKey, std::unique_ptr<Context>, FragmentHash> contexts_;
  IntrusiveList<Context, &Context::by_age> ages_;  // Oldest first.
  size_t fragments_ = 0;
  uint64_t bytes_ = 0;
  Actions actions_;
  Timer timer_;
};

}  // namespace wh::vnet
