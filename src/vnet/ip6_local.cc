// ip6-local: the extension headers of packets for this host (RFC 8200 section 4), and on to their
// protocol.
#include "net/wire/describe.h"
#include "net/wire/icmp6.h"
#include "vnet/nodes.h"

namespace wh::vnet {
namespace {

using graph::Arc;
using graph::Batch;
using graph::ErrorSpec;
using graph::Node;
using graph::Severity;
using net::Icmp6Type;
using net::Ip6;
using net::Ip6Extensions;
using net::Ip6View;
using net::Packet;

class Ip6Local final : public Node {
 public:
  explicit Ip6Local(Stack& stack)
      : Node({.name = "ip6-local",
              .next = {"ip6-full-reassembly", "ip6-icmp-input", "ip6-udp-lookup", "ip6-icmp-error"},
              .errors = errors_of(net::kIp6FaultNames) +
                        std::vector<ErrorSpec>{
                            {"spoofed", Severity::Error, "ip6 spoofed local-address packet drops"},
                            {"unknown_option", Severity::Error, "ip6 unknown option"},
                            {"routing_header", Severity::Error, "ip6 routing header refused"},
                            {"no_next_header", Severity::Info, "ip6 no next header"},
                            {"no_multicast", Severity::Error, "protocol takes no multicast"},
                            {"unknown_protocol", Severity::Error, "unknown ip protocol"}}}),
        stack_(stack) {
    stack.ip6_unknown = kIcmpError;
    stack.ip6_arcs.fill(kIcmpError);
    stack.ip6_arcs[net::kProtocolIcmp6] = kIcmpInput;
    stack.ip6_arcs[net::kProtocolUdp] = kUdpLookup;
  }

  void process(Batch& batch) override {
    Ip6 good_source;  // The last source found not to be ours: most come from one,
    uint16_t good_interface = kLocalInterface;  // by one interface.
    for (uint32_t i = 0; i < batch.size(); ++i) {
      Packet& p = batch[i];
      const auto ip = Ip6View::parse_quoted(p.head());
      const Ip6 source = ip->source();
      const bool is_good = source == good_source && p.interface == good_interface;
      if (p.interface != kLocalInterface && !is_good) {
        // Neighbour discovery alone may speak from an address of ours: that is how duplicates show.
        const bool is_from_link =
            ip->hop_limit() == 255 && ip->next_header() == net::kProtocolIcmp6;
        if (!is_from_link && stack_.is_local(source, stack_.interfaces[p.interface])) {
          batch.drop(i, kSpoofed);
          continue;
        }
        good_source = source;
        good_interface = p.interface;
      }
      if (p.checksum == net::Checksum::Needed) p.checksum = net::Checksum::Verified;
      Ip6Extensions extensions;
      if (Ip6View::is_extension(ip->next_header())) pullup_most(p, p.size());
      if (const auto fault = Ip6View::parse_quoted(p.head())->extensions(extensions)) {
        const auto error = static_cast<uint16_t>(*fault);
        if (*fault == net::Ip6Fault::HopByHopNotFirst) {  // RFC 8200 section 4.
          parameter_problem(batch, i, error, net::kIcmp6UnknownNextHeader, extensions.protocol_at);
        } else {
          batch.drop(i, error);
        }
        continue;
      }
      if (!obey(batch, i, extensions)) continue;
      p.l4_offset = static_cast<uint16_t>(extensions.offset);
      deliver(batch, i, extensions);
    }
  }
  std::string account(const Packet& p) const override { return net::describe_ip(p); }

 private:
  enum : Arc { kReassembly = 1, kIcmpInput, kUdpLookup, kIcmpError };
  enum : uint16_t {
    kSpoofed = net::kIp6FaultNames.size(),
    kUnknownOption,
    kRoutingHeader,
    kNoNextHeader,
    kNoMulticast,
    kUnknownProtocol,
  };

  void parameter_problem(Batch& batch, uint32_t i, uint16_t error, uint8_t code, uint32_t pointer) {
    batch.blame(i, error);
    note_icmp(batch[i], {static_cast<uint8_t>(Icmp6Type::ParameterProblem), code,
                         static_cast<uint16_t>(pointer)});
    batch.send(i, kIcmpError);
  }

  // What the extension headers ask of a receiver; false when the packet went its way for that.
  bool obey(Batch& batch, uint32_t i, const Ip6Extensions& e) {
    Packet& p = batch[i];
    if (e.unknown_option_at != 0) {
      // The option's two highest bits: 01 be silent, 10 say so, 11 say so unless it was to many.
      const uint8_t action = p.data()[e.unknown_option_at] >> 6;
      if (action == 1 || (action == 3 && p.adjacency == kLocalMulticast)) {
        batch.drop(i, kUnknownOption);
      } else {
        parameter_problem(batch, i, kUnknownOption, net::kIcmp6UnknownOption, e.unknown_option_at);
      }
      return false;
    }
    // Segments left means that we are to pass it on, which type 0 has taught nobody to do (RFC
    // 5095).
    if (e.routing_at != 0 && p.data()[e.routing_at + 3] != 0) {
      parameter_problem(batch, i, kRoutingHeader, net::kIcmp6BadHeaderField, e.routing_at + 2);
      return false;
    }
    if (e.has_fragment() && !e.fragment.is_atomic()) {
      batch.send(i, kReassembly);
      return false;
    }
    return true;
  }

  void deliver(Batch& batch, uint32_t i, const Ip6Extensions& e) {
    const Packet& p = batch[i];
    const Arc arc = stack_.ip6_arcs[e.protocol];
    if (e.protocol == net::kIp6NoNextHeader) {
      batch.drop(i, kNoNextHeader);
    } else if (arc == kIcmpError) {
      parameter_problem(batch, i, kUnknownProtocol, net::kIcmp6UnknownNextHeader, e.protocol_at);
    } else if (p.adjacency == kLocalMulticast && arc != kIcmpInput && arc != kUdpLookup) {
      batch.drop(i, kNoMulticast);
    } else {
      batch.send(i, arc);
    }
  }
  Stack& stack_;
};

}  // namespace

void add_ip6_local_nodes(Stack& stack) {
  stack.node.ip6_local = stack.graph.add(std::make_unique<Ip6Local>(stack)).index();
}

}  // namespace wh::vnet
