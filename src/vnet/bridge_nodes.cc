// l2-input, l2-forward and l2-flood: a frame's way through a bridge domain.
//
// data() is at the Ethernet header all the way, tags of sub-interfaces taken off. A frame's
// interface is the member it came by until it is given one to leave by.
#include "net/wire/describe.h"
#include "net/wire/ethernet.h"
#include "vnet/bridge.h"
#include "vnet/nodes.h"
#include "vnet/virtual_interfaces.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::Node;
using graph::Severity;
using net::MacAddress;
using net::Packet;
using net::PacketPtr;

MacAddress mac_at(const Packet& p, uint32_t offset) {
  MacAddress mac;
  std::memcpy(mac.bytes.data(), p.data() + offset, 6);
  return mac;
}

// Learns where sources are.
class L2Input final : public Node {
 public:
  explicit L2Input(Stack& stack)
      : Node({.name = "l2-input",
              .next = {"l2-forward"},
              .errors = {{"truncated", Severity::Error, "ethernet truncated"},
                         {"no_domain", Severity::Error, "interface is in no bridge domain"},
                         {"bad_source", Severity::Error, "source is no station's address"},
                         {"reserved", Severity::Info, "frames for bridges only"},
                         {"not_learnt", Severity::Warning, "sources not learnt: table full"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    const Instant now = stack_.loop.now();
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      BridgeDomain* domain = stack_.bridges->of(p.interface);
      if (domain == nullptr) {
        batch.drop(i, kNoDomain);
        continue;
      }
      pullup_most(p, net::EthernetHeader::kMinSize);
      if (p.head_size() < net::EthernetHeader::kMinSize) {
        batch.drop(i, kTruncated);
        continue;
      }
      const MacAddress source = mac_at(p, 6);
      if (source.is_multicast() || source == MacAddress{}) {
        batch.drop(i, kBadSource);
        continue;
      }
      // 01-80-C2-00-00-00 to -0F never pass a bridge (IEEE 802.1D table 7-10).
      constexpr uint8_t kReservedStart[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};
      if (std::memcmp(p.data(), kReservedStart, 5) == 0 && p.data()[5] < 16) {
        batch.drop(i, kReserved);
        continue;
      }
      if (!domain->learn(source, p.interface, now)) batch.count(kNotLearnt);
      batch.send(i, kForward);
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ethernet(p); }

 private:
  enum : Arc { kForward = 1 };
  enum : uint16_t { kTruncated, kNoDomain, kBadSource, kReserved, kNotLearnt };
  Stack& stack_;
};

// What both nodes that let frames out do.
class L2Exit : public Node {
 protected:
  L2Exit(Stack& stack, Spec spec) : Node(std::move(spec)), stack_(stack) {}

  // Whether a frame may leave by `to`, having come by `from`.
  bool may_leave(const BridgeDomain& domain, uint16_t from, const BridgeMember& to) const {
    if (to.interface == from || !stack_.interfaces[to.interface].is_up()) return false;
    const BridgeMember* source = domain.member(from);
    return source == nullptr || source->group == 0 || source->group != to.group;
  }
  // A frame as interface-output wants it.
  static void leave_by(Packet& p, uint16_t interface) {
    p.interface = interface;
    p.l2_size = 0;
    p.l3_offset = net::EthernetHeader::kMinSize;
  }
  Stack& stack_;
};

class L2Forward final : public L2Exit {
 public:
  explicit L2Forward(Stack& stack)
      : L2Exit(stack,
               {.name = "l2-forward",
                .next = {"l2-flood", "interface-output", "l2-bvi"},
                .errors = {{"same_port", Severity::Info, "destination is where it came from"},
                           {"split_horizon", Severity::Info, "no member it may leave by"},
                           {"no_forward", Severity::Info, "forwarding is off"}}}) {}

  void process(Batch& batch) override {
    const Instant now = stack_.loop.now();
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const BridgeDomain& domain = *stack_.bridges->of(p.interface);  // l2-input found it.
      const MacAddress destination = mac_at(p, 0);
      if (!domain.config().forward) {
        batch.drop(i, kNoForward);
        continue;
      }
      const BridgeMember* to = member_for(domain, destination, now);
      if (to == nullptr) {
        batch.send(i, kFlood);
      } else if (to->interface == p.interface) {
        batch.drop(i, kSamePort);
      } else if (!may_leave(domain, p.interface, *to)) {
        batch.drop(i, kSplitHorizon);
      } else if (to->is_bvi) {
        p.interface = to->interface;
        batch.send(i, kBvi);
      } else {
        leave_by(p, to->interface);
        batch.send(i, kOutput);
      }
    }
  }
  std::string account(const Packet& p) const override {
    return fmt::format("to {}", stack_.interfaces[p.interface].name);
  }

 private:
  enum : Arc { kFlood = 1, kOutput, kBvi };
  enum : uint16_t { kSamePort, kSplitHorizon, kNoForward };

  const BridgeMember* member_for(const BridgeDomain& domain, const MacAddress& destination,
                                 Instant now) const {
    if (destination.is_multicast()) return nullptr;
    for (const BridgeMember& m : domain.members()) {
      const net::Interface* device = stack_.interfaces[m.interface].device;
      if (m.is_bvi && device != nullptr && device->mac() == destination) return &m;
    }
    const uint16_t interface = domain.find(destination, now);
    return interface == 0 ? nullptr : domain.member(interface);
  }
};

// A copy to every member but the one it came by.
class L2Flood final : public L2Exit {
 public:
  explicit L2Flood(Stack& stack)
      : L2Exit(stack, {.name = "l2-flood",
                       .next = {"interface-output", "l2-bvi"},
                       .errors = {{"nobody", Severity::Info, "no member to flood to"},
                                  {"no_flood", Severity::Info, "flooding is off"},
                                  {"no_buffers", Severity::Error, "no buffers for copies"},
                                  {"copies", Severity::Info, "copies made"}}}) {}

  void process(Batch& batch) override {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      const uint16_t from = batch[i].interface;
      const BridgeDomain& domain = *stack_.bridges->of(from);
      if (!domain.config().flood) {
        batch.drop(i, kNoFlood);
        continue;
      }
      const BridgeMember* last = nullptr;  // Gets the frame itself.
      for (const BridgeMember& m : domain.members()) {
        if (!may_leave(domain, from, m)) continue;
        if (last != nullptr) copy_to(batch, batch[i], *last);
        last = &m;
      }
      if (last == nullptr) {
        batch.drop(i, kNobody);
        continue;
      }
      send(batch[i], *last);
      batch.send(i, last->is_bvi ? kBvi : kOutput);
    }
  }
  std::string account(const Packet& p) const override {
    return fmt::format("to {}", stack_.interfaces[p.interface].name);
  }

 private:
  enum : Arc { kOutput = 1, kBvi };
  enum : uint16_t { kNobody, kNoFlood, kNoBuffers, kCopies };

  static void send(Packet& p, const BridgeMember& to) {
    if (to.is_bvi) {
      p.interface = to.interface;
    } else {
      leave_by(p, to.interface);
    }
  }
  void copy_to(Batch& batch, const Packet& p, const BridgeMember& to) {
    PacketPtr copy = stack_.pool.clone(p);
    if (copy == nullptr) {
      batch.count(kNoBuffers);
      return;
    }
    batch.count(kCopies);
    send(*copy, to);
    batch.emit(std::move(copy), to.is_bvi ? kBvi : kOutput);
  }
};

// Gives frames to the BVI, as if they had come in by it.
class L2Bvi final : public Node {
 public:
  explicit L2Bvi(Stack& stack) : Node({.name = "l2-bvi"}), stack_(stack) {}

  void process(Batch& batch) override {
    net::Frame frame;
    uint16_t interface = 0;
    for (uint32_t i = 0; i < batch.size(); ++i) {
      if (batch[i].interface != interface) deliver(interface, frame);
      interface = batch[i].interface;
      frame.push(batch.take(i));
    }
    deliver(interface, frame);
  }

 private:
  void deliver(uint16_t interface, net::Frame& frame) {
    if (frame.empty()) return;
    for (Packet* p : frame.packets()) p->l2_size = p->l3_offset = 0;
    // It is up, and nothing is detached while the graph runs.
    stack_.interfaces[interface].device->receive(std::move(frame));
  }
  Stack& stack_;
};

}  // namespace

void add_bridge_nodes(Stack& stack) {
  stack.bridges = std::make_unique<BridgeTable>(stack);
  stack.node.l2_input = stack.graph.add(std::make_unique<L2Input>(stack)).index();
  stack.graph.add(std::make_unique<L2Forward>(stack));
  stack.graph.add(std::make_unique<L2Flood>(stack));
  stack.graph.add(std::make_unique<L2Bvi>(stack));
}

}  // namespace wh::vnet
