#include "vnet/neighbour.h"

#include <algorithm>
#include <tuple>

namespace wh::vnet {

using net::IpAddress;
using net::MacAddress;
using net::PacketPtr;

const char* to_string(NeighbourState state) {
  switch (state) {
    case NeighbourState::Incomplete: return "incomplete";
    case NeighbourState::Reachable: return "reachable";
    case NeighbourState::Stale: return "stale";
    case NeighbourState::Delay: return "delay";
    case NeighbourState::Probe: return "probe";
  }
  UNREACHABLE();
}

Neighbour::Neighbour(NeighbourTable& table, uint16_t interface, const IpAddress& address)
    : table_(table),
      address_(address),
      interface_(interface),
      adjacency_(kNoRoute),
      timer_(table.loop_, [this] { table_.act(*this); }) {}

Neighbour::~Neighbour() {
  while (PacketPtr packet = table_.pop_pending(*this)) packet.reset();
}

NeighbourTable::NeighbourTable(Loop& loop, Random random, AdjacencyTable& adjacencies,
                               Actions actions)
    : loop_(loop),
      random_(random),
      adjacencies_(adjacencies),
      actions_(std::move(actions)),
      entries_(0, KeyHash{SipKey::draw(random.fork("entries"))}),
      forgetting_(loop, [this] {
        for (const auto& n : forgotten_) adjacencies_.free(n->adjacency_);
        forgotten_.clear();
      }) {}

NeighbourTable::~NeighbourTable() = default;

// --- entries ---

Neighbour* NeighbourTable::find(uint16_t interface, const IpAddress& address) {
  const auto it = entries_.find({interface, address});
  return it == entries_.end() ? nullptr : it->second.get();
}

const Neighbour* NeighbourTable::find(uint16_t interface, const IpAddress& address) const {
  return const_cast<NeighbourTable*>(this)->find(interface, address);
}

Neighbour* NeighbourTable::get(uint16_t interface, uint32_t mtu, const IpAddress& address) {
  if (Neighbour* known = find(interface, address)) {
    enter_fib(*known);  // Its link's prefix may be younger than itself.
    return known;
  }
  if (static_cast<int64_t>(entries_.size()) >= actions_.rules().max_entries && !displace_one()) {
    ++counters_.table_full;
    return nullptr;
  }
  auto made = std::make_unique<Neighbour>(*this, interface, address);
  Neighbour& n = *made;
  n.adjacency_ = adjacencies_.make(AdjacencyKind::Incomplete, interface, mtu, address);
  n.updated_ = loop_.now();
  if (by_adjacency_.size() <= n.adjacency_) by_adjacency_.resize(n.adjacency_ + 1);
  by_adjacency_[n.adjacency_] = &n;
  entries_.emplace(Key{interface, address}, std::move(made));
  enter_fib(n);
  note_idleness(n);
  return &n;
}

bool NeighbourTable::is_idle(const Neighbour& n) const {
  if (n.is_static_ || n.references_ > 0) return false;
  switch (n.state_) {
    case NeighbourState::Incomplete:
    case NeighbourState::Stale: return true;
    case NeighbourState::Reachable: return !n.was_used_ && actions_.rules().is_arp;
    case NeighbourState::Delay:
    case NeighbourState::Probe: return false;
  }
  UNREACHABLE();
}

void NeighbourTable::note_idleness(Neighbour& n) {
  n.by_idleness_.unlink();
  if (is_idle(n)) idle_.push_back(n);
}

bool NeighbourTable::displace_one() {
  Neighbour* n = idle_.front();
  if (n == nullptr) return false;
  ++counters_.displaced;
  flush_pending(*n, actions_.displaced);
  give_up(*n);
  return true;
}

void NeighbourTable::enter_fib(Neighbour& n) {
  // A link-local address is looked up with its interface, never in the FIB.
  if (n.address_.is_link_local()) return;
  Fib& fib = actions_.fib(n.interface_);
  const Adjacency& way = adjacencies_[fib.lookup(n.address_)];
  if (way.kind == AdjacencyKind::Glean && way.interface == n.interface_) {
    fib.set(host_prefix(n), RouteSource::Neighbour, n.adjacency_);
    in_fib_.emplace(n.address_, &n);
  }
}

bool NeighbourTable::is_on_link(const Neighbour& n, const Fib& fib) const {
  const auto route = fib.covering_route(n.address_);
  if (!route) return false;
  const Adjacency& way = adjacencies_[route->adjacency];
  // A host route to elsewhere goes before the neighbour's own, which then does no harm.
  return (way.kind == AdjacencyKind::Glean && way.interface == n.interface_) ||
         route->prefix == host_prefix(n);
}

void NeighbourTable::route_changed(const Fib& fib, const net::Prefix& prefix) {
  auto it = in_fib_.lower_bound(prefix.network().address);
  while (it != in_fib_.end() && prefix.contains(it->first)) {
    Neighbour& n = *(it++)->second;
    if (&actions_.fib(n.interface_) == &fib && !is_on_link(n, fib)) leave_fib(n);
  }
}

void NeighbourTable::move_out(Neighbour& n) {
  const AdjacencyIndex old = n.adjacency_;
  n.adjacency_ = adjacencies_.copy(old);
  if (by_adjacency_.size() <= n.adjacency_) by_adjacency_.resize(n.adjacency_ + 1);
  by_adjacency_[n.adjacency_] = std::exchange(by_adjacency_[old], nullptr);
  for (net::Packet* p = n.pending_head_; p != nullptr; p = p->link) p->adjacency = n.adjacency_;
  Fib& fib = actions_.fib(n.interface_);
  if (fib.find(host_prefix(n), RouteSource::Neighbour) == old) {
    fib.set(host_prefix(n), RouteSource::Neighbour, n.adjacency_);
  }
}

void NeighbourTable::leave_fib(Neighbour& n) {
  Fib& fib = actions_.fib(n.interface_);
  if (fib.find(host_prefix(n), RouteSource::Neighbour) != n.adjacency_) return;
  const auto [begin, end] = in_fib_.equal_range(n.address_);
  in_fib_.erase(std::find_if(begin, end, [&](const auto& one) { return one.second == &n; }));
  fib.remove(host_prefix(n), RouteSource::Neighbour);
}

void NeighbourTable::forget(Neighbour& n) {
  leave_fib(n);
  by_adjacency_[n.adjacency_] = nullptr;
  adjacencies_[n.adjacency_] = {};
  n.by_idleness_.unlink();
  n.timer_.disarm();
  const auto it = entries_.find({n.interface_, n.address_});
  forgotten_.push_back(std::move(it->second));
  entries_.erase(it);
  forgetting_.arm(loop_.now());
}

void NeighbourTable::release(Neighbour& n) {
  CHECK(n.references_ > 0);
  if (--n.references_ == 0 && n.state_ == NeighbourState::Incomplete && n.pending_count_ == 0) {
    forget(n);
  } else {
    note_idleness(n);
  }
}

Result<void> NeighbourTable::set_static(uint16_t interface, uint32_t mtu, const IpAddress& address,
                                        const MacAddress& mac) {
  Neighbour* n = get(interface, mtu, address);
  if (n == nullptr) return fail("neighbour {}: the table is full", to_string(address));
  n->is_static_ = false;  // A static entry may be given anew.
  learn(*n, mac, NeighbourState::Reachable);
  n->is_static_ = true;
  note_idleness(*n);
  n->timer_.disarm();
  adjacencies_[n->adjacency_].notice_use = static_cast<bool>(actions_.used);
  return {};
}

Result<void> NeighbourTable::remove(uint16_t interface, const IpAddress& address) {
  Neighbour* n = find(interface, address);
  if (n == nullptr) return fail("no neighbour {}", to_string(address));
  give_up(*n);
  return {};
}

void NeighbourTable::flush(uint16_t interface) {
  std::vector<Neighbour*> there;
  for (const auto& [key, n] : entries_) {
    if (key.interface == interface) there.push_back(n.get());
  }
  std::sort(there.begin(), there.end(), [](auto* a, auto* b) { return a->address_ < b->address_; });
  for (Neighbour* n : there) {
    leave_fib(*n);  // A route through it may keep it.
    give_up(*n);
  }
}

std::vector<const Neighbour*> NeighbourTable::entries() const {
  std::vector<const Neighbour*> all;
  for (const auto& [key, n] : entries_) all.push_back(n.get());
  std::sort(all.begin(), all.end(), [](auto* a, auto* b) {
    return std::tie(a->interface_, a->address_) < std::tie(b->interface_, b->address_);
  });
  return all;
}

// --- packets that wait ---

void NeighbourTable::resolve(Neighbour& n, PacketPtr packet) {
  packet->adjacency = n.adjacency_;
  if (n.is_resolved()) {
    actions_.send(std::move(packet));
    return;
  }
  const NeighbourRules rules = actions_.rules();
  if (!n.timer_.is_armed()) ask(n, false);
  push_pending(n, std::move(packet));
  while (static_cast<int64_t>(n.pending_count_) > rules.max_pending) {
    ++counters_.pending_overflow;
    actions_.overflow(pop_pending(n));
  }
}

void NeighbourTable::push_pending(Neighbour& n, PacketPtr packet) {
  packet->link = nullptr;
  net::Packet* raw = packet.release();
  (n.pending_tail_ != nullptr ? n.pending_tail_->link : n.pending_head_) = raw;
  n.pending_tail_ = raw;
  ++n.pending_count_;
}

PacketPtr NeighbourTable::pop_pending(Neighbour& n) {
  net::Packet* packet = n.pending_head_;
  if (packet == nullptr) return nullptr;
  n.pending_head_ = packet->link;
  if (n.pending_head_ == nullptr) n.pending_tail_ = nullptr;
  packet->link = nullptr;
  --n.pending_count_;
  return PacketPtr(packet);
}

void NeighbourTable::flush_pending(Neighbour& n, const std::function<void(PacketPtr)>& to) {
  while (PacketPtr packet = pop_pending(n)) to(std::move(packet));
}

void NeighbourTable::drop_held(const std::function<bool(const net::Packet&)>& which) {
  for (const auto& [key, n] : entries_) {
    for (size_t left = n->pending_count_; left > 0; --left) {
      PacketPtr packet = pop_pending(*n);
      which(*packet) ? actions_.gone(std::move(packet)) : push_pending(*n, std::move(packet));
    }
  }
}

// --- what is learnt ---

void NeighbourTable::confirm(Neighbour& n, const MacAddress& mac) {
  learn(n, mac, NeighbourState::Reachable);
}

void NeighbourTable::hear(Neighbour& n, const MacAddress& mac) {
  if (n.is_resolved() && n.mac_ == mac) return;
  // ARP has no Stale: what is heard there counts (RFC 826).
  learn(n, mac, actions_.rules().is_arp ? NeighbourState::Reachable : NeighbourState::Stale);
}

void NeighbourTable::learn(Neighbour& n, const MacAddress& mac, NeighbourState state) {
  if (n.is_static_) return;
  n.mac_ = mac;
  n.updated_ = loop_.now();
  std::array<uint8_t, Adjacency::kRewriteCapacity> rewrite;
  const uint32_t size = actions_.rewrite(n, rewrite);
  adjacencies_.resolve(n.adjacency_, std::span(rewrite).first(size));
  enter(n, state);
  flush_pending(n, actions_.send);
}

Duration NeighbourTable::reachable_time(const NeighbourRules& rules) {
  if (rules.is_arp) return rules.reachable;
  // RFC 4861 section 6.3.2: uniform between 0.5 and 1.5 times the base, so that hosts do not probe
  // in step.
  const auto base = static_cast<uint64_t>(rules.reachable.count());
  return Duration(static_cast<int64_t>(random_.between(base / 2, base + base / 2)));
}

void NeighbourTable::enter(Neighbour& n, NeighbourState state) {
  const NeighbourRules rules = actions_.rules();
  const Instant now = loop_.now();
  n.state_ = state;
  n.was_used_ = false;
  note_idleness(n);
  adjacencies_[n.adjacency_].notice_use =
      state == NeighbourState::Stale || (state == NeighbourState::Reachable && rules.is_arp);
  switch (state) {
    case NeighbourState::Incomplete: UNREACHABLE();
    case NeighbourState::Reachable: n.timer_.arm(now + reachable_time(rules)); break;
    case NeighbourState::Stale: n.timer_.arm(now + rules.keep_stale); break;
    case NeighbourState::Delay: n.timer_.arm(now + rules.delay); break;
    case NeighbourState::Probe:
      n.tries_ = 0;
      ask(n, true);
      break;
  }
  const bool is_news = state == NeighbourState::Reachable || state == NeighbourState::Stale;
  if (is_news && actions_.changed) actions_.changed(n);
}

void NeighbourTable::notice_use(AdjacencyIndex adjacency) {
  Neighbour* n = adjacency < by_adjacency_.size() ? by_adjacency_[adjacency] : nullptr;
  adjacencies_[adjacency].notice_use = false;
  if (n == nullptr) return;
  if (n->is_static_ && actions_.used) {
    actions_.used(*n);
  } else {
    note_use(*n);
  }
}

void NeighbourTable::note_use(uint16_t interface, const IpAddress& address) {
  if (Neighbour* n = find(interface, address)) note_use(*n);
}

void NeighbourTable::note_use(Neighbour& n) {
  n.was_used_ = true;
  if (n.state_ == NeighbourState::Stale) {
    enter(n, NeighbourState::Delay);
  } else {
    note_idleness(n);
  }
}

// --- questions ---

void NeighbourTable::ask(Neighbour& n, bool unicast) {
  ++n.tries_;
  ++counters_.questions;
  n.timer_.arm(loop_.now() + actions_.rules().retransmit);
  actions_.ask(n, unicast);
}

void NeighbourTable::act(Neighbour& n) {
  const NeighbourRules rules = actions_.rules();
  switch (n.state_) {
    case NeighbourState::Incomplete:
    case NeighbourState::Probe: question_unanswered(n, rules); break;
    case NeighbourState::Reachable:
      if (!rules.is_arp) {
        enter(n, NeighbourState::Stale);
      } else if (n.was_used_) {
        enter(n, NeighbourState::Probe);
      } else {
        give_up(n);
      }
      break;
    case NeighbourState::Stale: give_up(n); break;
    case NeighbourState::Delay: enter(n, NeighbourState::Probe); break;
  }
  actions_.settle();
}

void NeighbourTable::question_unanswered(Neighbour& n, const NeighbourRules& rules) {
  const bool unicast = n.state_ == NeighbourState::Probe;
  if (n.tries_ < (unicast ? rules.unicast_tries : rules.multicast_tries)) {
    ask(n, unicast);
  } else {
    give_up(n);
  }
}

void NeighbourTable::give_up(Neighbour& n) {
  const bool was_learnt = n.is_resolved() && !n.is_static_;
  n.timer_.disarm();
  n.tries_ = 0;
  n.is_static_ = false;
  n.state_ = NeighbourState::Incomplete;
  adjacencies_.unresolve(n.adjacency_);
  if (was_learnt && actions_.changed) actions_.changed(n);
  counters_.unresolved += n.pending_count_;
  flush_pending(n, actions_.unreachable);
  if (n.references_ == 0) forget(n);
}

}  // namespace wh::vnet
