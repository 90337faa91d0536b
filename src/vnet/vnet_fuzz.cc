// A whole vnet fed from bytes: a forwarding host with two interfaces, IPv4 and IPv6 addresses, echo
// and UDP; by the first byte, also with access lists, NAT, policers, source checks, VLANs, a bridge
// domain with a BVI, DHCP and router advertisements.
//
// The input is a list of records: a control byte, a length byte and that many bytes (times four
// when asked). A record is a frame that arrives, or time that passes. What must hold: nothing
// crashes; whatever leaves is a sound packet; tables and queues keep to their bounds; and when all
// is over and every timer has run, every packet has come back.
#include <cstdint>
#include <span>

#include "core/virtual_loop.h"
#include "net/link/cable.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "vnet/show.h"
#include "vnet/stack.h"
#include "vnet/vnet.h"

namespace wh::vnet {
namespace {

using net::EtherType;
using net::Packet;
using net::PacketPtr;

constexpr uint16_t kBridgedVlan = 200;

// Nothing malformed leaves a stack, whatever came in.
class SoundnessTap final : public net::PacketTap {
 public:
  void see(const Packet& packet, net::Direction direction, Instant) override {
    if (direction == net::Direction::In) return;
    const auto head = packet.head();
    const auto ethernet = net::EthernetView::parse(head);
    CHECK(static_cast<bool>(ethernet));
    // A bridge lets pass what it does not read.
    if (ethernet->tag_count() > 0 && ethernet->tag(0).vlan() == kBridgedVlan) return;
    const auto rest = head.subspan(ethernet->header_size());
    const size_t size = packet.size() - ethernet->header_size();
    if (ethernet->type() == EtherType::Ip4) {
      const auto ip = net::Ip4View::parse(rest, size);
      CHECK(ip && ip->total_length() == size && ip->ttl() > 0);
    } else if (ethernet->type() == EtherType::Ip6) {
      const auto ip = net::Ip6View::parse(rest, size);
      CHECK(ip && ip->total_length() == size && ip->hop_limit() > 0);
    } else {
      CHECK(ethernet->type() == EtherType::Arp);
    }
    CHECK(packet.checksum != net::Checksum::Needed && packet.gso_size == 0);
    CHECK(size <= 1500);
  }
};

// Takes segments and does nothing with them but look.
class Sink final : public net::IpProtocol {
 public:
  void input(net::Frame&& frame) override {
    for (Packet* p : frame.packets()) {
      CHECK(p->l4_offset > 0 && p->l4_offset <= p->size());
      CHECK(p->checksum != net::Checksum::Needed);
    }
  }
  void error(const net::IpError& e) override { CHECK(e.transport.size() >= 8); }
};

struct Target {
  static constexpr int64_t kEntries = 20, kContexts = 8;

  Target() {
    for (const char* setting :
         {"net.inet.ip.forwarding=1", "net.inet6.ip6.forwarding=1", "net.inet.icmp.bmcastecho=1",
          "net.link.ether.inet.maxentries=20", "net.inet6.icmp6.nd6_maxentries=20",
          "net.inet.ip.maxfragpackets=8", "net.inet6.ip6.maxfragpackets=8",
          "net.inet6.icmp6.nd6_gctimer=60", "net.link.ether.inet.max_age=60"}) {
      MUST(vnet.sysctl().assign(setting));
    }
    const uint16_t one = MUST(vnet.attach(left.a())), two = MUST(vnet.attach(right.a()));
    for (const auto& [index, text] : {std::pair<uint16_t, const char*>{one, "10.0.0.1/24"},
                                      {one, "2001:db8::1/64"},
                                      {two, "10.0.1.1/24"},
                                      {two, "2001:db8:1::1/64"}}) {
      MUST(vnet.add_address(index, MUST(net::parse_prefix(text))));
    }
    // Replies leave without a question first, so that more of the path is walked.
    MUST(vnet.add_neighbour(one, net::Ip4::of(10, 0, 0, 2), left.b().mac()));
    MUST(vnet.add_neighbour(one, MUST(net::parse_ip("2001:db8::2")), left.b().mac()));
    MUST(vnet.add_neighbour(two, net::Ip4::of(10, 0, 1, 2), right.b().mac()));
    MUST(vnet.add_neighbour(two, MUST(net::parse_ip("2001:db8:1::2")), right.b().mac()));
    vnet.register_protocol(net::kProtocolTcp, &sink);
    left.a().add_tap(&tap);
    right.a().add_tap(&tap);
    echo4 = MUST(vnet.open_udp({.port = 7}, [this](const UdpDatagram& d) { answer(*echo4, d); }));
    echo6 = MUST(vnet.open_udp({.family = net::Family::V6, .port = 7},
                               [this](const UdpDatagram& d) { answer(*echo6, d); }));
  }
  // Everything that packets of an interface can be put through.
  void enable_features() {
    const uint16_t one = MUST(vnet.interfaces().find("left"));
    const uint16_t two = MUST(vnet.interfaces().find("right"));
    AclRule rule{AclAction::Reflect, MUST(net::parse_prefix("10.0.0.0/8")),
                 MUST(net::parse_prefix("0.0.0.0/0"))};
    AclRule some = rule;
    some.action = AclAction::Deny;
    some.protocol = net::kProtocolTcp;
    some.destination_ports = {1, 99};
    const AclRule rule6{AclAction::Reflect, MUST(net::parse_prefix("::/0")),
                        MUST(net::parse_prefix("::/0"))};
    const uint32_t acl = MUST(vnet.acls().add({some, rule, rule6}));
    MUST(vnet.acls().bind(one, AclTable::kInput, {acl}));
    MUST(vnet.acls().bind(two, AclTable::kOutput, {acl}));
    MUST(vnet.nat44().set_max_mappings(8));
    MUST(vnet.nat44().add_address(net::Ip4::of(10, 0, 1, 1)));
    MUST(vnet.nat44().set_role(one, NatRole::Inside));
    MUST(vnet.nat44().set_role(two, NatRole::Outside));
    MUST(vnet.nat44().add_static(
        {net::kProtocolUdp, net::Ip4::of(10, 0, 1, 1), 53, net::Ip4::of(10, 0, 0, 2), 53}));
    MUST(vnet.policers().add(
        {.name = "p", .rate = Rate::bits_per_second(1'000'000), .burst = Bytes(10'000)}));
    MUST(vnet.policers().bind(one, PolicerSide::Input, "p"));
    MUST(vnet.policers().bind(two, PolicerSide::Output, "p"));
    MUST(vnet.set_source_check(two, net::Family::V4, SourceCheck::Loose));
    MUST(vnet.set_source_check(two, net::Family::V6, SourceCheck::Strict));
    const uint16_t vlan = MUST(vnet.virtuals().add_sub(one, {.id = 100}));
    MUST(vnet.add_address(vlan, MUST(net::parse_prefix("10.0.2.1/24"))));
    MUST(vnet.virtuals().add_sub(two, {.id = 100, .outer = 100, .inner = 7}));
    MUST(vnet.bridges().add({.id = 1, .max_entries = kEntries}));
    for (const uint16_t parent : {one, two}) {
      const uint16_t member = MUST(vnet.virtuals().add_sub(parent, {.id = kBridgedVlan}));
      MUST(vnet.bridges().add_member(1, {.interface = member}));
    }
    const uint16_t bvi = MUST(vnet.virtuals().add_loopback(0));
    MUST(vnet.bridges().add_member(1, {.interface = bvi, .is_bvi = true}));
    MUST(vnet.add_address(bvi, MUST(net::parse_prefix("10.0.3.1/24"))));
    MUST(vnet.dhcp().add_pool({.name = "lan",
                               .network = MUST(net::parse_prefix("10.0.0.0/24")),
                               .first = net::Ip4::of(10, 0, 0, 100),
                               .last = net::Ip4::of(10, 0, 0, 103)}));
    MUST(vnet.dhcp().set_relay(vlan, {net::Ip4::of(10, 0, 1, 2)}));
    MUST(vnet.advertiser().enable(one, {}));
  }
  // What is sent to oneself from port 7 to port 7 would go round for ever.
  static void answer(UdpSocket& socket, const UdpDatagram& d) {
    if (d.source_port != 7) (void)socket.send(d.source, d.source_port, d.payload());
  }

  void receive(std::span<const uint8_t> bytes, uint8_t control) {
    PacketPtr p = pool.allocate();
    if (p == nullptr) return;
    if ((control & 1) != 0 && bytes.size() >= 14) {
      // Almost nothing contiguous: every node must ask for what it reads.
      std::memcpy(p->append(14), bytes.data(), 14);
      p->append(net::Slice{net::ChunkRef::copy_of(bytes.subspan(14)), 0,
                           static_cast<uint32_t>(bytes.size() - 14)});
    } else {
      p->assign(bytes);
    }
    // What a device with offloads might say of a packet that a stranger made.
    if ((control & 2) != 0) p->checksum = net::Checksum::Needed;
    if ((control & 4) != 0) p->gso_size = 100;
    if ((control & 8) != 0) p->checksum = net::Checksum::Verified;
    net::Frame frame;
    frame.push(std::move(p));
    ((control & 16) != 0 ? right : left).a().receive(std::move(frame));
  }

  void check_bounds() {
    const Stack& stack = vnet.stack();
    CHECK(stack.arp->size() <= kEntries && stack.nd->size() <= kEntries);
    CHECK(stack.adjacencies.size() <= 2 * kEntries + 64);
    CHECK(stack.nat44->size() <= 8);
    for (const BridgeDomain* domain : stack.bridges->domains()) {
      CHECK(domain->entries().size() <= kEntries);
    }
    // Waiting: 16 for each neighbour, 64 fragments of each packet, and what is on the cables.
    CHECK(pool.in_use() <= 2 * kEntries * 16 + 2 * kContexts * 64 + 20'000);
  }

  VirtualLoop loop;
  net::PacketPool pool{100'000};
  SoundnessTap tap;
  Sink sink;
  net::Cable left{{.name = "left", .mac = net::MacAddress::local(1)},
                  {.name = "p", .mac = net::MacAddress::local(2)},
                  loop};
  net::Cable right{{.name = "right", .mac = net::MacAddress::local(3)},
                   {.name = "q", .mac = net::MacAddress::local(4)},
                   loop};
  Vnet vnet{{.name = "target"}, loop, pool, Random(1)};
  std::unique_ptr<UdpSocket> echo4, echo6;
};

}  // namespace
}  // namespace wh::vnet

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh;
  vnet::Target target;
  std::span<const uint8_t> input(data, std::min<size_t>(size, 16'384));
  if (!input.empty() && (input[0] & 2) == 0) target.enable_features();
  while (input.size() >= 2) {
    const uint8_t control = input[0];
    const size_t length = size_t{input[1]} * ((control & 64) != 0 ? 4 : 1);
    input = input.subspan(2);
    if ((control & 128) != 0) {
      target.loop.run_for(std::chrono::milliseconds(length * length));
      continue;
    }
    const auto bytes = input.first(std::min(length, input.size()));
    if ((control & 32) != 0) (void)target.vnet.graph().trace_add("ethernet-input", 10);
    target.receive(bytes, control);
    input = input.subspan(bytes.size());
    target.check_bounds();
  }
  (void)graph::format_traces(target.vnet.graph());
  (void)vnet::format(vnet::neighbour_report(target.vnet, net::Family::V6));
  // Longer than anything waits: fragments, questions, entries.
  target.loop.run_for(300s);
  CHECK_EQ(target.pool.in_use(), 0u);
  return 0;
}
