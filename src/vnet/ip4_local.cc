// ip4-local, and the nodes that hand segments to registered protocols.
#include "net/wire/describe.h"
#include "net/wire/icmp.h"
#include "vnet/nodes.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::Node;
using graph::Severity;
using net::Packet;

// Packets for this host: fragments to reassembly, the rest to their protocol.
class Ip4Local final : public Node {
 public:
  explicit Ip4Local(Stack& stack)
      : Node({.name = "ip4-local",
              .next = {"ip4-full-reassembly", "ip4-icmp-input", "ip4-udp-lookup", "ip4-icmp-error"},
              .errors = {{"spoofed", Severity::Error, "ip4 spoofed local-address packet drops"},
                         {"link_broadcast", Severity::Error, "ip4 unicast in a link broadcast"},
                         {"no_multicast", Severity::Error, "protocol takes no multicast"},
                         {"unknown_protocol", Severity::Error, "unknown ip protocol"}}}),
        stack_(stack) {
    stack.ip4_unknown = kIcmpError;
    stack.ip4_arcs.fill(kIcmpError);
    stack.ip4_arcs[net::kProtocolIcmp] = kIcmpInput;
    stack.ip4_arcs[net::kProtocolUdp] = kUdpLookup;
  }

  void process(Batch& batch) override {
    uint32_t good_source = 0;  // The last source found not to be ours: most come from one.
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const uint8_t* ip = p.data();
      if (p.interface != kLocalInterface) {
        const uint32_t source = net::load32(ip + 12);
        if (source != good_source && stack_.interfaces.may_be_own(ip + 12) &&
            stack_.is_local(net::Ip4{source}, stack_.vrf_of(p))) [[unlikely]] {
          batch.drop(i, kSpoofed);
          continue;
        }
        good_source = source;
        if (p.adjacency == kLocal && is_link_multicast(p)) {
          batch.drop(i, kLinkBroadcast);
          continue;
        }
      }
      if ((net::load16(ip + 6) & 0x3fff) != 0) {
        batch.send(i, kReassembly);
        continue;
      }
      // It never left this process, or a device of this process answers for it.
      if (p.checksum == net::Checksum::Needed) p.checksum = net::Checksum::Verified;
      const uint8_t protocol = ip[9];
      const Arc arc = stack_.ip4_arcs[protocol];
      if (p.adjacency == kLocalMulticast && arc != kIcmpInput && arc != kUdpLookup) {
        batch.drop(i, kNoMulticast);
        continue;
      }
      if (arc == kIcmpError) refuse(batch, i);
      batch.send(i, arc);
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : Arc { kReassembly = 1, kIcmpInput, kUdpLookup, kIcmpError };
  enum : uint16_t { kSpoofed, kLinkBroadcast, kNoMulticast, kUnknownProtocol };

  [[gnu::noinline]] static void refuse(Batch& batch, uint32_t i) {
    batch.blame(i, kUnknownProtocol);
    note_icmp(batch[i],
              {static_cast<uint8_t>(net::IcmpType::Unreachable), net::kIcmpProtocolUnreachable, 0});
  }
  Stack& stack_;
};

// Hands whole vectors of segments to the protocol registered for them.
class ProtocolInput final : public Node {
 public:
  ProtocolInput(Stack& stack, std::string name, uint8_t protocol)
      : Node({.name = std::move(name),
              .errors = {{"closed", Severity::Error, "protocol was unregistered"}}}),
        stack_(stack),
        protocol_(protocol) {}

  void process(Batch& batch) override {
    if (net::IpProtocol* protocol = stack_.protocols[protocol_]) {
      for (Packet* p : batch.packets()) p->table = stack_.vrf_of(*p);
      return protocol->input(batch.take_all());
    }
    for (uint32_t i = 0; i < batch.size(); ++i) batch.drop(i, kClosed);
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : uint16_t { kClosed };
  Stack& stack_;
  uint8_t protocol_;
};

std::string protocol_node_name(uint8_t protocol, int version) {
  if (protocol == net::kProtocolTcp) return fmt::format("tcp{}-input", version);
  return fmt::format("ip{}-protocol-{}", version, protocol);
}

graph::Arc add_protocol_node(Stack& stack, uint8_t protocol, int version) {
  const std::string name = protocol_node_name(protocol, version);
  if (stack.graph.find(name) == nullptr) {
    stack.graph.add(std::make_unique<ProtocolInput>(stack, name, protocol));
  }
  return stack.graph.add_arc(version == 4 ? stack.node.ip4_local : stack.node.ip6_local, name);
}

}  // namespace

void add_ip4_local_nodes(Stack& stack) {
  stack.node.ip4_local = stack.graph.add(std::make_unique<Ip4Local>(stack)).index();
}

ProtocolArcs add_protocol_nodes(Stack& stack, uint8_t protocol) {
  return {add_protocol_node(stack, protocol, 4), add_protocol_node(stack, protocol, 6)};
}

}  // namespace wh::vnet
