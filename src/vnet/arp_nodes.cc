// arp-input, arp-reply and ip4-arp: address resolution for IPv4 (RFC 826).
//
// arp-input learns: an entry that exists is updated by whatever is heard, one is made only for who
// asks for us, so that a stranger's broadcast cannot fill the table. arp-reply turns a request into
// its answer, in place. ip4-arp takes packets whose neighbour is not known; they wait on its entry.
#include "net/wire/arp.h"
#include "net/wire/ethernet.h"
#include "vnet/nat44.h"
#include "vnet/nodes.h"
#include "vnet/resolve_node.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::ErrorSpec;
using graph::Node;
using graph::Severity;
using net::ArpOperation;
using net::ArpPacket;
using net::ArpView;
using net::EthernetHeader;
using net::EtherType;
using net::Ip4;
using net::MacAddress;
using net::Packet;
using net::PacketPtr;

// Puts an Ethernet header before what is at data().
void push_ethernet(Packet& p, const MacAddress& to, const MacAddress& from, EtherType type) {
  const EthernetHeader header{to, from, type};
  header.emit({p.push(EthernetHeader::kMinSize), EthernetHeader::kMinSize});
  p.l2_size = 0;
  p.l3_offset = EthernetHeader::kMinSize;
}

class ArpInput final : public Node {
 public:
  explicit ArpInput(Stack& stack)
      : Node({.name = "arp-input",
              .next = {"arp-reply"},
              .errors = errors_of(net::kArpFaultNames) +
                        std::vector<ErrorSpec>{
                            {"bad_operation", Severity::Error, "ARP neither request nor reply"},
                            {"bad_sender", Severity::Error, "ARP sender is no host"},
                            {"mac_mismatch", Severity::Error, "ARP l2 source address mismatch"},
                            {"conflict", Severity::Error, "ARP sender has our address"},
                            {"off_link", Severity::Error, "ARP sender not on this subnet"},
                            {"not_ours", Severity::Info, "ARP requests for others"},
                            {"heard", Severity::Info, "ARP replies received"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      pullup_most(p, ArpPacket::kSize);
      const auto arp = ArpView::parse(p.head());
      if (!arp) {
        batch.drop(i, static_cast<uint16_t>(arp.fault()));
        continue;
      }
      const InterfaceEntry& entry = stack_.interfaces[p.interface];
      if (const uint16_t fault = judge(p, *arp, entry); fault != kSound) {
        batch.drop(i, fault);
        continue;
      }
      const bool for_us = is_ours(entry, arp->target_ip());
      const bool is_request = arp->operation() == ArpOperation::Request;
      // Whoever asks is answered (RFC 826), be it from an address that another link has, as hosts
      // do that have addresses of services; only neighbours are learnt.
      const Ip4 sender = arp->sender_ip();
      const bool is_neighbour = sender.value != 0 && is_on_link(entry, sender);
      if (is_neighbour) learn(*arp, entry, for_us, is_request);
      if (!is_neighbour && sender.value != 0 && !(is_request && for_us)) {
        batch.drop(i, kOffLink);
      } else if (is_request && for_us) {
        batch.send(i, kReply);
      } else {
        batch.count(is_request ? kNotOurs : kHeard);
        batch.take(i);
      }
    }
  }
  std::string account(const Packet& p) const override {
    const auto arp = ArpView::parse(p.head());
    return arp ? net::to_string(*arp) : net::to_string(arp.fault());
  }

 private:
  enum : Arc { kReply = 1 };
  enum : uint16_t {
    kBadOperation = net::kArpFaultNames.size(),
    kBadSender,
    kMacMismatch,
    kConflict,
    kOffLink,
    kNotOurs,
    kHeard,
    kSound,
  };

  bool is_ours(const InterfaceEntry& entry, Ip4 address) const {
    return entry.find(net::IpAddress(address)) != nullptr ||
           stack_.nat44->is_on_link_of(entry.index, address);
  }

  uint16_t judge(const Packet& p, const ArpView& arp, const InterfaceEntry& entry) const {
    if (arp.operation() != ArpOperation::Request && arp.operation() != ArpOperation::Reply) {
      return kBadOperation;
    }
    const MacAddress mac = arp.sender_mac();
    const Ip4 ip = arp.sender_ip();
    if (mac.is_multicast() || mac == MacAddress{}) return kBadSender;
    if (p.l2_size != 0 && std::memcmp(p.data() - p.l2_size + 6, mac.bytes.data(), 6) != 0) {
      return kMacMismatch;
    }
    if (ip.value == 0) return kSound;  // A probe (RFC 5227): answered, not learnt.
    if (ip.is_multicast() || ip.is_broadcast() || ip.is_loopback()) return kBadSender;
    if (stack_.is_local(ip, entry.vrf) || stack_.nat44->is_on_link_of(entry.index, ip)) {
      return kConflict;
    }
    return kSound;
  }

  // On a prefix of the interface, or of a route to its link, or a next hop that is said to be on
  // it.
  bool is_on_link(const InterfaceEntry& entry, Ip4 address) const {
    for (const InterfaceAddress& own : entry.addresses) {
      if (own.prefix.contains(address)) return true;
    }
    if (stack_.arp->find(entry.index, address) != nullptr) return true;
    const AdjacencyIndex way = stack_.fib(net::Family::V4, entry.vrf).lookup(address);
    const Adjacency& a = stack_.adjacencies[way];
    return a.kind == AdjacencyKind::Glean && a.interface == entry.index;
  }

  void learn(const ArpView& arp, const InterfaceEntry& entry, bool for_us, bool is_request) {
    Neighbour* known = stack_.arp->find(entry.index, arp.sender_ip());
    if (known == nullptr && for_us && is_request) {
      known = stack_.arp->get(entry.index, entry.mtu(), arp.sender_ip());
    }
    if (known == nullptr) return;
    if (for_us && !is_request) {
      stack_.arp->confirm(*known, arp.sender_mac());
    } else {
      stack_.arp->hear(*known, arp.sender_mac());
    }
  }
  Stack& stack_;
};

class ArpReply final : public Node {
 public:
  explicit ArpReply(Stack& stack)
      : Node({.name = "arp-reply",
              .next = {"interface-output"},
              .errors = {{"replies", Severity::Info, "ARP replies sent"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const ArpPacket request = ArpView::parse(p.head())->packet();  // arp-input found it sound.
      const MacAddress& own = stack_.interfaces[p.interface].device->mac();
      p.truncate(ArpPacket::kSize);
      ArpPacket{ArpOperation::Reply, own, request.target_ip, request.sender_mac, request.sender_ip}
          .emit(p.head());
      push_ethernet(p, request.sender_mac, own, EtherType::Arp);
      batch.count(kReplies);
      batch.send(i, kOutput);
    }
  }

 private:
  enum : Arc { kOutput = 1 };
  enum : uint16_t { kReplies };
  Stack& stack_;
};

// Asks who has a neighbour's address: all of its link, or the neighbour itself.
void send_request(Stack& stack, const Neighbour& n, bool unicast) {
  const InterfaceEntry& entry = stack.interfaces[n.interface()];
  const net::IpAddress* source = entry.source_for(n.address());
  if (entry.device == nullptr || source == nullptr) return;
  PacketPtr p = stack.pool.allocate();
  if (p == nullptr) return;  // The pool counts it; the neighbour asks again.
  const MacAddress& own = entry.device->mac();
  ArpPacket{ArpOperation::Request, own, source->v4(), {}, n.address().v4()}.emit(
      {p->append(ArpPacket::kSize), ArpPacket::kSize});
  push_ethernet(*p, unicast ? n.mac() : MacAddress::broadcast(), own, EtherType::Arp);
  p->interface = n.interface();
  stack.graph.enqueue(stack.node.interface_output, std::move(p));
}

NeighbourRules arp_rules(const Settings& s) {
  return {.retransmit = 1s,
          .reachable = std::chrono::seconds(s.arp_max_age),
          .multicast_tries = s.arp_maxtries,
          .unicast_tries = s.arp_maxtries,
          .max_pending = s.arp_maxhold,
          .max_entries = s.arp_maxentries,
          .is_arp = true};
}

}  // namespace

void add_arp_nodes(Stack& stack) {
  stack.node.arp_input = stack.graph.add(std::make_unique<ArpInput>(stack)).index();
  stack.graph.add(std::make_unique<ArpReply>(stack));
  stack.node.ip4_arp =
      stack.graph.add(std::make_unique<ResolveNode>(stack, net::Family::V4)).index();
  stack.node.arp_timer = stack.graph.add_process("arp-timer-process");
  NeighbourTable::Actions actions = resolve_actions(stack, net::Family::V4);
  actions.rules = [&stack] { return arp_rules(stack.settings); };
  actions.ask = [&stack](const Neighbour& n, bool unicast) { send_request(stack, n, unicast); };
  stack.arp = std::make_unique<NeighbourTable>(stack.loop, stack.random.fork("arp"),
                                               stack.adjacencies, std::move(actions));
  stack.holders.push_back(stack.arp.get());
}

}  // namespace wh::vnet
