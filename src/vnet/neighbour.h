// Neighbours: the link addresses of the hosts next to us, learnt by ARP (RFC 826) or neighbour
// discovery (RFC 4861). One table class serves both; what differs is in NeighbourRules and in how a
// question is asked.
//
//            resolve()                confirm()
//   (none) ------------> Incomplete ------------> Reachable --time--> Stale --used--> Delay --5
//   s--> Probe
//                            | tries used up          ^ | v +----------------- confirm()
//                            -------------------+
//                       unreachable: packets return                              tries used up:
//                       forgotten
//
// ARP has no Stale and Delay: an entry that is used when its age is up is probed at once, an unused
// one goes. Packets for an address that is not resolved wait on its entry, at most `max_pending`;
// one more pushes the oldest out (RFC 4861 section 7.2.2), counted. The table holds at most
// `max_entries`. When it is full, a new one takes the place of the *idle* one that has been idle
// longest: nobody has answered for it yet, or nothing was sent to it since it was heard of or last
// found, so that strangers who make many up have each other's places. Where all are in use, static
// or a route's, nothing new is resolved, counted. At most one question per entry and `retransmit`
// time is asked.
//
// Ownership: the table owns the entries, their adjacencies and the packets that wait.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "core/intrusive_list.h"
#include "core/loop.h"
#include "core/random.h"
#include "net/frame.h"
#include "vnet/address_hash.h"
#include "vnet/adjacency.h"
#include "vnet/fib.h"
#include "vnet/packet_holder.h"

namespace wh::vnet {

enum class NeighbourState : uint8_t { Incomplete, Reachable, Stale, Delay, Probe };
const char* to_string(NeighbourState state);

// Read at each use: they come from sysctls.
struct NeighbourRules {
  Duration retransmit{};
  Duration reachable{};  // Base; `spread` draws from 0.5 to 1.5 times it.
  Duration delay{};
  Duration keep_stale{};
  int64_t multicast_tries = 3;
  int64_t unicast_tries = 3;
  int64_t max_pending = 16;
  int64_t max_entries = 4096;
  bool is_arp = false;  // No Stale, no spread.
};

struct NeighbourCounters {
  uint64_t pending_overflow = 0;  // Packets pushed out of a waiting queue.
  uint64_t table_full = 0;        // Addresses not resolved because the table is full.
  uint64_t displaced = 0;         // Idle entries that gave way to others.
  uint64_t unresolved = 0;        // Packets given back because nobody answered.
  uint64_t questions = 0;
};

class NeighbourTable;

class Neighbour {
 public:
  Neighbour(NeighbourTable& table, uint16_t interface, const net::IpAddress& address);
  ~Neighbour();

  const net::IpAddress& address() const { return address_; }
  const net::MacAddress& mac() const { return mac_; }
  uint16_t interface() const { return interface_; }
  NeighbourState state() const { return state_; }
  bool is_resolved() const { return state_ != NeighbourState::Incomplete; }
  bool is_static() const { return is_static_; }
  AdjacencyIndex adjacency() const { return adjacency_; }
  Instant updated() const { return updated_; }
  size_t pending() const { return pending_count_; }

 private:
  friend class NeighbourTable;
  NeighbourTable& table_;
  net::IpAddress address_;
  net::MacAddress mac_;
  uint16_t interface_;
  NeighbourState state_ = NeighbourState::Incomplete;
  bool is_static_ = false;
  uint32_t references_ = 0;  // Routes through it: it is kept though nobody answers.
  AdjacencyIndex adjacency_;
  int64_t tries_ = 0;
  bool was_used_ = false;  // Since it was found; of ARP's.
  ListLink by_idleness_;
  Instant updated_{};
  net::Packet* pending_head_ = nullptr;  // Linked by Packet::link, oldest first.
  net::Packet* pending_tail_ = nullptr;
  size_t pending_count_ = 0;
  Timer timer_;
};

class NeighbourTable final : public PacketHolder {
 public:
  // How the table acts on the world: the vnet gives it these.
  struct Actions {
    std::function<NeighbourRules()> rules;
    // Asks who has the neighbour's address: of everybody, or of its last known link address.
    std::function<void(const Neighbour&, bool unicast)> ask;
    std::function<void(net::PacketPtr)> send;  // It is resolved: the packet's adjacency is set.
    std::function<void(net::PacketPtr)> unreachable;  // Nobody answered.
    std::function<void(net::PacketPtr)> overflow;     // Pushed out of the queue.
    std::function<void(net::PacketPtr)> displaced;    // What it waited for gave way to another.
    std::function<void(net::PacketPtr)> gone;         // By drop_held().
    std::function<void()> settle;  // After a timer acted: what was handed on may run.
    // The table that host routes of an interface's neighbours go to.
    std::function<Fib&(uint16_t interface)> fib;
    // It was found or confirmed, or doubted, or given up: for those who keep a copy.
    std::function<void(const Neighbour&)> changed = {};
    // A static entry's adjacency was used for the first time since it was set; only if given.
    std::function<void(const Neighbour&)> used = {};
    // The Ethernet header towards a link address, into `out`; returns its size.
    std::function<uint32_t(const Neighbour&, std::span<uint8_t> out)> rewrite;
  };

  NeighbourTable(Loop& loop, Random random, AdjacencyTable& adjacencies, Actions actions);
  ~NeighbourTable() override;

  // The entry for an address, made if need be, be it in an idle one's place; nullptr (counted) when
  // the table is full of others.
  Neighbour* get(uint16_t interface, uint32_t mtu, const net::IpAddress& address);
  Neighbour* find(uint16_t interface, const net::IpAddress& address);
  const Neighbour* find(uint16_t interface, const net::IpAddress& address) const;
  // Gives the packet to the neighbour: sent at once when resolved, else it waits and the question
  // is asked.
  void resolve(Neighbour& neighbour, net::PacketPtr packet);
  // Its address is known and was just confirmed by an answer to us.
  void confirm(Neighbour& neighbour, const net::MacAddress& mac);
  // Its address was heard of, which says nothing about reaching it: Stale, if it is news (RFC
  // 4861 7.2.3).
  void hear(Neighbour& neighbour, const net::MacAddress& mac);
  // Something else was heard, which does not override what is known: Stale (RFC 4861
  // section 7.2.5).
  void doubt(Neighbour& neighbour) { enter(neighbour, NeighbourState::Stale); }
  // The adjacency was used of a neighbour that was idle. If it is stale, its DELAY begins (RFC 4861
  // section 7.3.3).
  void notice_use(AdjacencyIndex adjacency);
  // It was used elsewhere, where this table's adjacencies do not count it. Nothing when unknown.
  void note_use(uint16_t interface, const net::IpAddress& address);
  // An entry given by a person: never ages, never asked.
  Result<void> set_static(uint16_t interface, uint32_t mtu, const net::IpAddress& address,
                          const net::MacAddress& mac);
  // Error: there is none. What waits on it is given back; a route through it keeps the entry,
  // unresolved.
  Result<void> remove(uint16_t interface, const net::IpAddress& address);
  void retain(Neighbour& neighbour) {
    ++neighbour.references_;
    note_idleness(neighbour);
  }
  void release(Neighbour& neighbour);
  // A route or an address has come or gone: neighbours within it that are on their interface's link
  // no more, as the FIB has it, leave it.
  void route_changed(const Fib& fib, const net::Prefix& prefix);
  // Leaves its adjacency to the caller, and has another.
  void move_out(Neighbour& neighbour);
  // Forgets everything learnt on an interface (it goes, or its address changed).
  void flush(uint16_t interface);

  void drop_held(const std::function<bool(const net::Packet&)>& which) override;

  const NeighbourCounters& counters() const { return counters_; }
  std::vector<const Neighbour*> entries() const;  // By interface and address.
  size_t size() const { return entries_.size(); }

 private:
  friend class Neighbour;
  struct Key {
    uint16_t interface;
    net::IpAddress address;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    SipKey key;
    size_t operator()(const Key& k) const { return address_hash(key, k.address, k.interface); }
  };

  // Packets find a neighbour by a host route of its own where the FIB says that its address is on
  // its interface's link. One that is on another's link, or behind a gateway, is not led away by a
  // route, an entry or an ARP message that names this one; such a neighbour serves its routes only.
  void enter_fib(Neighbour& neighbour);
  void leave_fib(Neighbour& neighbour);
  bool is_on_link(const Neighbour& neighbour, const Fib& fib) const;
  void act(Neighbour& neighbour);  // Its timer fired.
  void learn(Neighbour& neighbour, const net::MacAddress& mac, NeighbourState state);
  void enter(Neighbour& neighbour, NeighbourState state);
  void ask(Neighbour& neighbour, bool unicast);
  void question_unanswered(Neighbour& neighbour, const NeighbourRules& rules);
  bool is_idle(const Neighbour& neighbour) const;
  void note_idleness(Neighbour& neighbour);  // It may have changed.
  bool displace_one();                       // False when none is idle.
  void note_use(Neighbour& neighbour);
  void give_up(Neighbour& neighbour);
  void forget(Neighbour& neighbour);
  void flush_pending(Neighbour& neighbour, const std::function<void(net::PacketPtr)>& to);
  void push_pending(Neighbour& neighbour, net::PacketPtr packet);
  net::PacketPtr pop_pending(Neighbour& neighbour);
  Duration reachable_time(const NeighbourRules& rules);
  net::Prefix host_prefix(const Neighbour& n) const {
    return {n.address_, static_cast<uint8_t>(n.address_.is_v4() ? 32 : 128)};
  }

  Loop& loop_;
  Random random_;
  AdjacencyTable& adjacencies_;
  Actions actions_;
  std::unordered_map<Key, std::unique_ptr<Neighbour>, KeyHash> entries_;
  std::vector<Neighbour*> by_adjacency_;
  std::multimap<net::IpAddress, Neighbour*> in_fib_;         // Those that have a host route.
  IntrusiveList<Neighbour, &Neighbour::by_idleness_> idle_;  // Longest idle first.
  // Gone when what goes on now is over: one may have been forgotten in its own timer's action, and
  // a packet on its way may bear the number of its adjacency, which until then is nobody else's.
  std::vector<std::unique_ptr<Neighbour>> forgotten_;
  Timer forgetting_;
  NeighbourCounters counters_;
};

}  // namespace wh::vnet
