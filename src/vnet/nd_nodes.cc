// Neighbour discovery (RFC 4861): the nodes that answer and learn, and the questions of the
// neighbour table.
//
// icmp6-neighbor-solicitation learns who asks and answers for our addresses;
// icmp6-neighbor-advertisement applies section 7.2.5. A new address is probed for duplicates (RFC
// 4862 section 5.4) while it is already in use (RFC 4429): until that is over it is announced
// without "override", and when somebody else has it, it is given up.
#include "net/checksum.h"
#include "net/wire/describe.h"
#include "net/wire/ethernet.h"
#include "net/wire/icmp6.h"
#include "vnet/nd_message.h"
#include "vnet/nodes.h"
#include "vnet/resolve_node.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::ErrorSpec;
using graph::Node;
using graph::Severity;
using net::Icmp6View;
using net::Ip6;
using net::Ip6Header;
using net::IpAddress;
using net::MacAddress;
using net::NeighbourAdvertisement;
using net::NeighbourSolicitation;
using net::Packet;
using net::PacketPtr;

// Sends a solicitation for `target`; from the unspecified address it asks whether it is a
// duplicate.
void solicit(Stack& stack, const InterfaceEntry& entry, const Ip6& target, const Ip6& from,
             const Ip6& to, const MacAddress& to_mac) {
  PacketPtr p = stack.pool.allocate();
  if (p == nullptr) return;  // The pool counts it; it is asked again.
  NeighbourSolicitation message{.target = target};
  if (!from.is_unspecified()) message.source_mac = entry.device->mac();
  write_discovery(*p, message, from, to, entry.device->mac(), to_mac);
  p->interface = entry.index;
  stack.graph.enqueue(stack.node.interface_output, std::move(p));
}

void ask(Stack& stack, const Neighbour& n, bool unicast) {
  const InterfaceEntry& entry = stack.interfaces[n.interface()];
  const IpAddress* source = entry.source_for(n.address());
  if (source == nullptr && entry.link_local() == nullptr) return;
  if (entry.device == nullptr) return;
  const Ip6& from = source != nullptr ? source->v6() : *entry.link_local();
  const Ip6& target = n.address().v6();
  const Ip6 to = unicast ? target : target.solicited_node();
  solicit(stack, entry, target, from, to, unicast ? n.mac() : multicast_mac(to));
}

// Somebody else has an address of ours that is still being probed, or the very one we use.
void give_up_address(Stack& stack, InterfaceEntry& entry, const Ip6& address) {
  InterfaceAddress* own = entry.find(address);
  if (own == nullptr || own->state != InterfaceAddress::State::Tentative) return;
  own->state = InterfaceAddress::State::Duplicated;
  own->probes_left = 0;
  const uint16_t vrf = address.is_link_local() ? uint16_t{0} : entry.vrf;
  if (!address.is_link_local()) {
    stack.fib(net::Family::V6, vrf).remove({address, 128}, RouteSource::Interface);
  }
  stack.interfaces.clear_owner(address, vrf);
}

class Solicitation final : public Node {
 public:
  explicit Solicitation(Stack& stack)
      : Node({.name = "icmp6-neighbor-solicitation",
              .next = {"interface-output"},
              .errors = {{"invalid", Severity::Error, "neighbor solicitation invalid"},
                         {"not_ours", Severity::Info, "neighbor solicitations for others"},
                         {"duplicate", Severity::Error, "address is a duplicate"},
                         {"advertised", Severity::Info, "neighbor advertisements sent"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const auto message =
          Icmp6View::parse(p.head().subspan(p.l4_offset))->neighbour_solicitation();
      const Ip6 from = address_at(p, 8), to = address_at(p, 24);
      if (!is_valid(p, message, from, to)) {
        batch.drop(i, kInvalid);
        continue;
      }
      InterfaceEntry& entry = stack_.interfaces[p.interface];
      const InterfaceAddress* own = entry.find(message.target);
      const bool is_shared = own == nullptr && stack_.settings.ip6_forwarding != 0 &&
                             entry.is_subnet_router(message.target);
      if (!is_shared && (own == nullptr || own->state == InterfaceAddress::State::Duplicated)) {
        batch.drop(i, kNotOurs);
        continue;
      }
      // Two hosts probing for one address at once: neither may have it (RFC 4862 section 5.4.3).
      if (!is_shared && own->state == InterfaceAddress::State::Tentative && from.is_unspecified()) {
        give_up_address(stack_, entry, message.target);
        batch.drop(i, kDuplicate);
        continue;
      }
      if (!from.is_unspecified() && message.source_mac) learn(entry, from, *message.source_mac);
      const bool override = !is_shared && own->state == InterfaceAddress::State::Ready;
      answer(p, entry, override, message, from);
      batch.count(kAdvertised);
      batch.send(i, kOutput);
    }
  }
  std::string account(const Packet& p) const override {
    return p.l3_offset != 0 ? net::describe_ethernet(p) : net::describe_ip(p);
  }

 private:
  enum : Arc { kOutput = 1 };
  enum : uint16_t { kInvalid, kNotOurs, kDuplicate, kAdvertised };

  // RFC 4861 section 7.1.1.
  static bool is_valid(const Packet& p, const NeighbourSolicitation& m, const Ip6& from,
                       const Ip6& to) {
    if (p.data()[7] != 255 || p.data()[p.l4_offset + 1] != 0 || m.target.is_multicast())
      return false;
    if (m.source_mac && m.source_mac->is_multicast()) return false;
    if (!from.is_unspecified()) return true;
    return to == m.target.solicited_node() && !m.source_mac;
  }

  void learn(const InterfaceEntry& entry, const Ip6& from, const MacAddress& mac) {
    if (stack_.is_local(from, entry)) return;
    // Only neighbours are neighbours: a source elsewhere must not fill the table.
    const AdjacencyIndex way = stack_.fib(net::Family::V6, entry.vrf).lookup(from);
    const Adjacency& a = stack_.adjacencies[way];
    const bool on_link = from.is_link_local() ||
                         ((a.kind == AdjacencyKind::Glean || a.kind == AdjacencyKind::Incomplete ||
                           a.kind == AdjacencyKind::Rewrite) &&
                          a.interface == entry.index);
    if (!on_link) return;
    if (Neighbour* n = stack_.nd->get(entry.index, entry.mtu(), from)) stack_.nd->hear(*n, mac);
  }

  // Makes the packet its own answer. An address that is still being probed, or that others have as
  // well, replaces nobody's (RFC 4861 section 7.2.4).
  void answer(Packet& p, const InterfaceEntry& entry, bool override,
              const NeighbourSolicitation& message, const Ip6& from) {
    const MacAddress& own_mac = entry.device->mac();
    const bool is_probe = from.is_unspecified();
    const Ip6 to = is_probe ? all_nodes() : from;
    MacAddress to_mac = multicast_mac(to);
    if (!is_probe) {
      if (message.source_mac) {
        to_mac = *message.source_mac;
      } else {
        std::memcpy(to_mac.bytes.data(), p.data() - p.l2_size + 6, p.l2_size != 0 ? 6 : 0);
      }
    }
    const NeighbourAdvertisement reply{.target = message.target,
                                       .router = stack_.settings.ip6_forwarding != 0,
                                       .solicited = !is_probe,
                                       .override = override,
                                       .target_mac = own_mac};
    const uint32_t trace = p.trace;
    const uint16_t interface = p.interface;
    p.clear();
    p.trace = trace;
    p.interface = interface;
    write_discovery(p, reply, message.target, to, own_mac, to_mac);
  }
  Stack& stack_;
};

class Advertisement final : public Node {
 public:
  explicit Advertisement(Stack& stack)
      : Node({.name = "icmp6-neighbor-advertisement",
              .errors = {{"invalid", Severity::Error, "neighbor advertisement invalid"},
                         {"unknown", Severity::Info, "neighbor advertisements nobody asked for"},
                         {"duplicate", Severity::Error, "address is a duplicate"},
                         {"heard", Severity::Info, "neighbor advertisements received"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const auto message =
          Icmp6View::parse(p.head().subspan(p.l4_offset))->neighbour_advertisement();
      const Ip6 to = address_at(p, 24);
      // RFC 4861 section 7.1.2.
      if (p.data()[7] != 255 || p.data()[p.l4_offset + 1] != 0 || message.target.is_multicast() ||
          (to.is_multicast() && message.solicited) ||
          (message.target_mac && message.target_mac->is_multicast())) {
        batch.drop(i, kInvalid);
        continue;
      }
      InterfaceEntry& entry = stack_.interfaces[p.interface];
      if (entry.find(message.target) != nullptr) {
        give_up_address(stack_, entry, message.target);
        batch.drop(i, kDuplicate);
        continue;
      }
      Neighbour* n = stack_.nd->find(p.interface, message.target);
      if (n == nullptr) {
        batch.drop(i, kUnknown);
        continue;
      }
      apply(*n, message);
      batch.count(kHeard);
      batch.take(i);
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : uint16_t { kInvalid, kUnknown, kDuplicate, kHeard };

  // RFC 4861 section 7.2.5.
  void apply(Neighbour& n, const NeighbourAdvertisement& m) {
    NeighbourTable& table = *stack_.nd;
    if (!n.is_resolved()) {
      if (!m.target_mac) return;
      m.solicited ? table.confirm(n, *m.target_mac) : table.hear(n, *m.target_mac);
      return;
    }
    const bool is_other = m.target_mac && *m.target_mac != n.mac();
    if (is_other && !m.override) {
      // One that was given is not to be doubted, or a stranger's word would end it.
      if (n.state() == NeighbourState::Reachable && !n.is_static()) table.doubt(n);
      return;
    }
    if (m.solicited) {
      table.confirm(n, m.target_mac.value_or(n.mac()));
    } else if (is_other) {
      table.hear(n, *m.target_mac);
    }
  }
  Stack& stack_;
};

NeighbourRules nd_rules(const Settings& s) {
  return {.retransmit = std::chrono::milliseconds(s.nd6_retrans_ms),
          .reachable = std::chrono::milliseconds(s.nd6_reachable_ms),
          .delay = std::chrono::seconds(s.nd6_delay),
          .keep_stale = std::chrono::seconds(s.nd6_gctimer),
          .multicast_tries = s.nd6_mmaxtries,
          .unicast_tries = s.nd6_umaxtries,
          .max_pending = s.nd6_maxqueuelen,
          .max_entries = s.nd6_maxentries};
}

// Asks once more for each tentative address, or takes silence for consent.
void probe_addresses(Stack& stack) {
  bool is_pending = false;
  for (uint16_t index = 1; index < stack.interfaces.size(); ++index) {
    InterfaceEntry& entry = stack.interfaces[index];
    for (InterfaceAddress& a : entry.addresses) {
      if (a.state != InterfaceAddress::State::Tentative) continue;
      if (a.probes_left == 0) {
        a.state = InterfaceAddress::State::Ready;
        continue;
      }
      is_pending = true;
      if (entry.device == nullptr) continue;
      --a.probes_left;
      const Ip6& target = a.prefix.address.v6();
      const Ip6 group = target.solicited_node();
      solicit(stack, entry, target, {}, group, multicast_mac(group));
    }
  }
  if (is_pending) {
    stack.dad_timer.arm(stack.loop.now() +
                        std::chrono::milliseconds(stack.settings.nd6_retrans_ms));
  }
}

}  // namespace

void add_nd_nodes(Stack& stack) {
  stack.graph.add(std::make_unique<Solicitation>(stack));
  stack.graph.add(std::make_unique<Advertisement>(stack));
  stack.node.ip6_discover =
      stack.graph.add(std::make_unique<ResolveNode>(stack, net::Family::V6)).index();
  stack.node.nd_timer = stack.graph.add_process("ip6-nd-timer-process");
  NeighbourTable::Actions actions = resolve_actions(stack, net::Family::V6);
  actions.rules = [&stack] { return nd_rules(stack.settings); };
  actions.ask = [&stack](const Neighbour& n, bool unicast) { ask(stack, n, unicast); };
  stack.nd = std::make_unique<NeighbourTable>(stack.loop, stack.random.fork("nd"),
                                              stack.adjacencies, std::move(actions));
  stack.holders.push_back(stack.nd.get());
  stack.probe_addresses = [&stack] {
    stack.graph.run_process(stack.node.nd_timer, [&stack] { probe_addresses(stack); });
    stack.graph.run();
  };
}

void start_duplicate_detection(Stack& stack, InterfaceEntry& entry, const Ip6& address) {
  InterfaceAddress* own = entry.find(address);
  // A replica's addresses are probed by the main vnet.
  if (stack.settings.ip6_dad_count == 0 || stack.handoff != nullptr) return;
  own->state = InterfaceAddress::State::Tentative;
  own->probes_left = stack.settings.ip6_dad_count;
  stack.dad_timer.arm(stack.loop.now());
}

}  // namespace wh::vnet
