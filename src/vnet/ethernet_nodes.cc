// ethernet-input and what reads devices before it; interface-output, NAME-output and NAME-tx:
// where packets enter and leave a vnet.
#include "net/wire/describe.h"
#include "net/wire/ethernet.h"
#include "vnet/nodes.h"
#include "vnet/replica.h"
#include "vnet/virtual_interfaces.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::Node;
using graph::NodeKind;
using graph::Severity;
using net::EthernetHeader;
using net::EtherType;
using net::Packet;

// Takes the Ethernet header off and sends each packet to its protocol's input.
class EthernetInput final : public Node {
 public:
  explicit EthernetInput(Stack& stack)
      : Node({.name = "ethernet-input",
              .next = {"ip4-input", "ip6-input", "arp-input", "l2-input"},
              .errors = {{"truncated", Severity::Error, "ethernet truncated"},
                         {"unknown_type", Severity::Error, "unknown ethernet type"},
                         {"unknown_vlan", Severity::Error, "unknown vlan"},
                         {"other_mac", Severity::Error, "l3 mac mismatch"}},
              .kind = NodeKind::Input}),
        stack_(stack) {}

  void process(Batch& batch) override {
    uint16_t interface = 0;
    const uint8_t* own = nullptr;
    bool is_bridged = false;
    Tagged tagged;
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      if (p.head_size() < EthernetHeader::kMinSize) [[unlikely]] {
        pullup_most(p, EthernetHeader::kMinSize);
        if (p.head_size() < EthernetHeader::kMinSize) {
          batch.drop(i, kTruncated);
          continue;
        }
      }
      if (own == nullptr || p.interface != interface) {
        interface = p.interface;
        const InterfaceEntry& entry = stack_.interfaces[interface];
        own = entry.device != nullptr ? entry.device->mac().bytes.data() : kNobody.data();
        is_bridged = entry.is_bridged;
      }
      auto type = static_cast<EtherType>(net::load16(p.data() + 12));
      if (type == EtherType::Vlan || type == EtherType::ServiceVlan) {
        if (take_tagged(batch, i, tagged)) continue;
        type = static_cast<EtherType>(net::load16(p.data() + 12));
      }
      if (is_bridged) {
        batch.send(i, kBridge);
        continue;
      }
      if ((*p.data() & 1) == 0 && std::memcmp(p.data(), own, 6) != 0) {
        batch.drop(i, kOtherMac);
        continue;
      }
      p.pull(EthernetHeader::kMinSize);
      p.l2_size = EthernetHeader::kMinSize;
      p.l3_offset = 0;
      switch (type) {
        case EtherType::Ip4: batch.send(i, kIp4); break;
        case EtherType::Ip6: batch.send(i, kIp6); break;
        case EtherType::Arp: batch.send(i, kArp); break;
        case EtherType::Vlan:
        case EtherType::ServiceVlan: batch.drop(i, kUnknownVlan); break;
        default: batch.drop(i, kUnknownType);
      }
    }
    tagged.deliver();
  }
  std::string account(const Packet& p) const override {
    const std::span<const uint8_t> frame{p.data() - p.l2_size, p.head_size() + p.l2_size};
    return net::describe_ethernet(frame, p.size() + p.l2_size);
  }

 private:
  enum : Arc { kIp4 = 1, kIp6, kArp, kBridge };

  // Frames for one sub-interface after another.
  struct Tagged {
    SubInterface* to = nullptr;
    net::Frame frame;
    void deliver() {
      if (!frame.empty()) to->receive(std::move(frame));
    }
  };
  // Gives a tagged frame, its tags taken off, to the sub-interface they name; a priority tag
  // (VLAN 0) is only taken off, and of a frame that a bridge is to pass on not even that. False
  // when the frame stays.
  [[gnu::noinline]] bool take_tagged(Batch& batch, uint32_t i, Tagged& tagged) {
    Packet& p = batch[i];
    pullup_most(p, EthernetHeader::kMaxSize);
    const auto ethernet = net::EthernetView::parse(p.head());
    if (!ethernet) {
      batch.drop(i, kTruncated);
      return true;
    }
    const uint32_t count = ethernet->tag_count();
    const uint16_t outer = ethernet->tag(0).vlan();
    const uint16_t inner = count > 1 ? ethernet->tag(1).vlan() : uint16_t{0};
    SubInterface* to = stack_.virtuals->find(p.interface, outer, inner);
    const bool is_bridged = stack_.interfaces[p.interface].is_bridged;
    if (to == nullptr && (outer != 0 || count > 1 || is_bridged)) return false;
    std::memmove(p.data() + 4 * count, p.data(), 12);
    p.pull(4 * count);
    if (to == nullptr) return false;
    if (tagged.to != to) tagged.deliver();
    tagged.to = to;
    tagged.frame.push(batch.take(i));
    return true;
  }

  enum : uint16_t { kTruncated, kUnknownType, kUnknownVlan, kOtherMac };
  static constexpr std::array<uint8_t, 6> kNobody{};
  Stack& stack_;
};

// Where a vector that a device read enters; its clocks include the reading (Graph::book).
class DeviceInput final : public Node {
 public:
  explicit DeviceInput(std::string name)
      : Node({.name = std::move(name), .next = {"ethernet-input"}, .kind = NodeKind::Interrupt}) {}
  void process(Batch& batch) override { batch.send_all(1); }
  std::string account(const Packet& p) const override {
    return fmt::format("{} bytes, sw_if_index {}{}", p.size(), p.interface,
                       p.gso_size != 0 ? fmt::format(", gso_size {}", p.gso_size) : "");
  }
};

// Finds the interface that each packet leaves by.
class InterfaceOutput final : public Node {
 public:
  explicit InterfaceOutput(Stack& stack)
      : Node({.name = "interface-output",
              .errors = {{"down", Severity::Error, "interface is down"},
                         {"gone", Severity::Error, "interface deleted"}}}),
        stack_(stack) {}

  void process(Batch& batch) override {
    uint16_t interface = 0;
    const InterfaceEntry* entry = nullptr;
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      if (entry == nullptr || p.interface != interface) {
        interface = p.interface;
        entry = &stack_.interfaces[interface];
      }
      if (entry->device == nullptr) {
        batch.drop(i, kOutputGone);
      } else if (!entry->device->is_up()) {
        batch.drop(i, kOutputDown);
      } else {
        batch.send(i, entry->tx_arc);
      }
    }
  }
  std::string account(const Packet& p) const override {
    return fmt::format("{}\n{}", stack_.interfaces[p.interface].name, net::describe_ethernet(p));
  }

 private:
  Stack& stack_;
};

// The last look before a device: does what the device does not, or has it done.
class DeviceOutput final : public Node {
 public:
  DeviceOutput(Stack& stack, uint16_t interface, const std::string& device)
      : Node({.name = device + "-output",
              .next = {"gso", device + "-tx"},
              .errors = {{"bad_partial", Severity::Error, "no place for the checksum"}}}),
        stack_(stack),
        interface_(interface) {}

  void move_to(uint16_t interface) { interface_ = interface; }
  void process(Batch& batch) override {
    // interface-output saw it attached, and nothing is detached while the graph runs.
    const net::Interface::Config& config = stack_.interfaces[interface_].device->config();
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      if (p.gso_size != 0 && config.max_gso == 0) {
        batch.send(i, kGso);
      } else if (p.checksum == net::Checksum::Needed && !config.checksum_offload &&
                 !try_complete_checksum(p, p.l3_offset)) {
        batch.drop(i, kBadPartial);
      } else {
        batch.send(i, kTx);
      }
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ethernet(p); }

 private:
  enum : Arc { kGso = 1, kTx };
  enum : uint16_t { kBadPartial };
  Stack& stack_;
  uint16_t interface_;
};

// Gives a vector to the device.
class InterfaceTx final : public Node {
 public:
  InterfaceTx(Stack& stack, uint16_t interface, std::string name)
      : Node({.name = std::move(name),
              .errors = {{"too_big", Severity::Error, "frame longer than the interface carries"}}}),
        stack_(stack),
        interface_(interface) {}

  void move_to(uint16_t interface) { interface_ = interface; }
  void process(Batch& batch) override {
    if (stack_.interfaces[interface_].is_elsewhere) return hand_off(batch);
    // interface-output saw it attached, and nothing is detached while the graph runs.
    net::Interface& device = *stack_.interfaces[interface_].device;
    const uint32_t longest = device.max_frame();
    for (const Packet* p : batch.packets()) {
      if (is_too_big(*p, longest)) return drop_too_big(batch, device);
    }
    stack_.tx_packets += batch.size();
    device.transmit(batch.take_all());
  }
  std::string account(const Packet& p) const override { return fmt::format("{} bytes", p.size()); }

 private:
  enum : uint16_t { kTooBig };

  // What is routed was cut to fit or refused; this was bridged.
  static bool is_too_big(const Packet& p, uint32_t longest) {
    return p.size() > longest && p.gso_size == 0;
  }
  [[gnu::noinline]] void drop_too_big(Batch& batch, net::Interface& device) {
    net::Frame frame;
    for (uint32_t i = 0; i < batch.size(); ++i) {
      if (is_too_big(batch[i], device.max_frame())) {
        batch.drop(i, kTooBig);
      } else {
        frame.push(batch.take(i));
      }
    }
    stack_.tx_packets += frame.size();
    if (!frame.empty()) device.transmit(std::move(frame));
  }
  [[gnu::noinline]] void hand_off(Batch& batch) {
    for (uint32_t i = 0; i < batch.size(); ++i) {
      if (stack_.handoff->take(batch[i], HandoffTo::Output)) {
        batch.take(i);
      } else {
        stack_.graph.blame(stack_.node.handoff_input, kHandoffFull, batch[i]);
        batch.send(i, graph::kDropArc);
      }
    }
  }
  Stack& stack_;
  uint16_t interface_;
};

}  // namespace

void add_ethernet_nodes(Stack& stack) {
  stack.node.ethernet_input = stack.graph.add(std::make_unique<EthernetInput>(stack)).index();
  stack.node.interface_output = stack.graph.add(std::make_unique<InterfaceOutput>(stack)).index();
}

std::string add_tx_node(Stack& stack, InterfaceEntry& entry) {
  const std::string output = entry.name + "-output", tx = entry.name + "-tx";
  std::vector<std::string>& idle = stack.idle_tx_nodes;
  std::string old;
  if (stack.graph.find(tx) == nullptr && !idle.empty()) {
    old = idle.front();
    idle.erase(idle.begin());
    stack.graph.rename(MUST(stack.graph.index_of(old + "-output")), output);
    stack.graph.rename(MUST(stack.graph.index_of(old + "-tx")), tx);
  }
  if (Node* known = stack.graph.find(tx)) {
    std::erase(idle, entry.name);
    static_cast<InterfaceTx*>(known)->move_to(entry.index);
    static_cast<DeviceOutput*>(stack.graph.find(output))->move_to(entry.index);
  } else {
    stack.graph.add(std::make_unique<InterfaceTx>(stack, entry.index, tx));
    stack.graph.add(std::make_unique<DeviceOutput>(stack, entry.index, entry.name));
    MUST(stack.graph.link());  // Both of its next nodes are there.
  }
  entry.tx_arc = stack.graph.add_arc(stack.node.interface_output, output);
  return old;
}

void retire_tx_node(Stack& stack, const InterfaceEntry& entry) {
  stack.idle_tx_nodes.push_back(entry.name);
}

graph::NodeIndex add_input_node(Stack& stack, std::string_view name) {
  if (Node* known = stack.graph.find(name)) return known->index();
  Node& made = stack.graph.add(std::make_unique<DeviceInput>(std::string(name)));
  MUST(stack.graph.link());  // ethernet-input is there.
  return made.index();
}

}  // namespace wh::vnet
