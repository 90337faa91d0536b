// Segmentation and checksums in software, for interfaces that leave them to us, and neither where
// nobody needs them.
#include <map>

#include "net/wire/tcp.h"
#include "vnet/packet_tools.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::Checksum;
using net::Ip4Header;
using net::Ip6Header;
using net::IpAddress;
using net::Packet;
using net::PacketPtr;
using net::SeqNum;
using net::TcpHeader;
using net::TcpView;

// A segment as tcp makes it: headers in the head, payload referred to, the pseudo-header sum in the
// checksum field.
PacketPtr segment(net::PacketPool& pool, const IpAddress& from, const IpAddress& to,
                  const Octets& payload, uint16_t gso_size, TcpHeader tcp) {
  PacketPtr p = pool.allocate();
  const uint32_t length = tcp.size() + static_cast<uint32_t>(payload.size());
  tcp.checksum = net::pseudo_header(from, to, net::kProtocolTcp, length).folded();
  if (from.is_v4()) {
    Ip4Header{.source = from.v4(),
              .destination = to.v4(),
              .protocol = net::kProtocolTcp,
              .total_length = static_cast<uint16_t>(20 + length),
              .id = 100,
              .dont_fragment = true}
        .emit({p->append(20), 20});
  } else {
    Ip6Header{.source = from.v6(),
              .destination = to.v6(),
              .next_header = net::kProtocolTcp,
              .payload_length = static_cast<uint16_t>(length)}
        .emit({p->append(40), 40});
  }
  p->l4_offset = static_cast<uint16_t>(p->head_size());
  tcp.emit({p->append(tcp.size()), tcp.size()});
  if (!payload.empty()) {
    const uint32_t half = static_cast<uint32_t>(payload.size()) / 2;
    net::ChunkRef chunk = net::ChunkRef::copy_of(payload);
    p->append(net::Slice{chunk, 0, half});
    p->append(net::Slice{chunk, half, static_cast<uint32_t>(payload.size()) - half});
  }
  p->gso_size = gso_size;
  p->checksum = Checksum::Needed;
  return p;
}

// Datagrams of one size but the last, as a device gives them: for one packet.
PacketPtr datagrams(net::PacketPool& pool, const IpAddress& from, const IpAddress& to,
                    const Octets& payload, uint16_t gso_size, bool dont_fragment = true) {
  Octets bytes = udp(50'000, 443, payload);
  const auto length = static_cast<uint32_t>(bytes.size());
  net::store16(bytes.data() + 6, net::pseudo_header(from, to, net::kProtocolUdp, length).folded());
  PacketPtr p = pool.allocate();
  if (from.is_v4()) {
    append_bytes(*p, ip4({.source = from.v4(),
                          .destination = to.v4(),
                          .protocol = net::kProtocolUdp,
                          .id = 100,
                          .dont_fragment = dont_fragment},
                         bytes));
  } else {
    append_bytes(
        *p, ip6({.source = from.v6(), .destination = to.v6(), .next_header = net::kProtocolUdp},
                bytes));
  }
  p->l4_offset = from.is_v4() ? 20 : 40;
  p->gso_size = gso_size;
  p->checksum = Checksum::Needed;
  return p;
}

net::Frame frame_of(PacketPtr p) {
  net::Frame f;
  f.push(std::move(p));
  return f;
}

const TcpHeader kTcp{.source_port = 80,
                     .destination_port = 1000,
                     .seq = SeqNum(0xffffff00),
                     .ack = SeqNum(7),
                     .flags = net::kTcpAck | net::kTcpPsh | net::kTcpFin | net::kTcpCwr,
                     .window = 500};

using GsoFragments = PairTest;
class Gso : public HostTest, public testing::WithParamInterface<const char*> {
 protected:
  bool v4() const { return std::string_view(GetParam()) == "v4"; }
  IpAddress from() const { return ip(v4() ? "10.0.0.1" : "2001:db8::1"); }
  IpAddress to() const { return ip(v4() ? "10.0.0.2" : "2001:db8::2"); }
  uint32_t ip_size() const { return v4() ? 20 : 40; }

  // Checks a frame on the wire as a receiver would, and gives what its IP header carries.
  Octets check_ip(const Octets& frame, uint8_t protocol) {
    const auto packet = std::span(frame).subspan(14);
    if (v4()) {
      const auto header = net::Ip4View::parse(packet);  // Length and checksum are right.
      EXPECT_TRUE(header);
      EXPECT_EQ(header->total_length(), packet.size());
    } else {
      const auto header = net::Ip6View::parse(packet);
      EXPECT_TRUE(header);
      EXPECT_EQ(header->total_length(), packet.size());
    }
    const auto bytes = packet.subspan(ip_size());
    net::InternetSum sum =
        net::pseudo_header(from(), to(), protocol, static_cast<uint32_t>(bytes.size()));
    sum.add(bytes);
    EXPECT_EQ(sum.checksum(), 0);
    return {bytes.begin(), bytes.end()};
  }
  // The same of TCP: its header and payload.
  std::pair<TcpHeader, Octets> check(const Octets& frame) {
    const Octets bytes = check_ip(frame, net::kProtocolTcp);
    const auto tcp = TcpView::parse(bytes);
    EXPECT_TRUE(tcp);
    return {tcp->header(), Octets(bytes.begin() + tcp->header_size(), bytes.end())};
  }
};
INSTANTIATE_TEST_SUITE_P(Family, Gso, testing::Values("v4", "v6"),
                         [](const auto& suite) { return std::string(suite.param); });

TEST_P(Gso, cuts_a_packet_into_right_segments) {
  const Octets payload = pattern(10'000);
  h.output(frame_of(segment(pool, from(), to(), payload, 1400, kTcp)));
  ASSERT_EQ(recorder.out.size(), 8u);  // Seven of 1400 and one of 200.
  EXPECT_EQ(count("gso", "segments"), 8u);
  Octets joined;
  for (size_t i = 0; i < 8; ++i) {
    SCOPED_TRACE(i);
    const auto [tcp, bytes] = check(recorder.out[i]);
    EXPECT_EQ(bytes.size(), i < 7 ? 1400u : 200u);
    EXPECT_EQ(tcp.seq, kTcp.seq + net::SeqLen(static_cast<uint32_t>(i) * 1400));  // Across 2^32.
    EXPECT_EQ(tcp.ack, kTcp.ack);
    EXPECT_TRUE(tcp.flags.has(net::kTcpAck));
    EXPECT_EQ(tcp.flags.has(net::kTcpPsh), i == 7);
    EXPECT_EQ(tcp.flags.has(net::kTcpFin), i == 7);
    EXPECT_EQ(tcp.flags.has(net::kTcpCwr), i == 0);
    if (v4()) {
      EXPECT_EQ(net::Ip4View::parse_quoted(std::span(recorder.out[i]).subspan(14))->id(), 100 + i);
    }
    joined = joined + bytes;
  }
  EXPECT_EQ(joined, payload);
}

TEST_P(Gso, leaves_a_packet_of_one_segment_alone) {
  const Octets payload = pattern(1400);
  h.output(frame_of(segment(pool, from(), to(), payload, 1400, kTcp)));
  ASSERT_EQ(recorder.out.size(), 1u);
  const auto [tcp, bytes] = check(recorder.out[0]);
  EXPECT_EQ(bytes, payload);
  EXPECT_EQ(tcp.flags, kTcp.flags);
}

TEST_P(Gso, completes_a_checksum_for_a_plain_device) {
  for (const size_t size : {0u, 1u, 2u, 1001u}) {
    h.output(frame_of(segment(pool, from(), to(), pattern(size), 0, kTcp)));
    EXPECT_EQ(check(recorder.out.back()).second, pattern(size));
  }
}

TEST_P(Gso, refuses_segments_longer_than_the_mtu) {
  h.output(frame_of(segment(pool, from(), to(), pattern(5000), 1461, kTcp)));
  EXPECT_EQ(recorder.out.size(), 0u);
  EXPECT_EQ(count(v4() ? "ip4-rewrite" : "ip6-rewrite", "mtu_exceeded"), 1u);
}

// Many datagrams that a sender gave its kernel at once (UDP_SEGMENT), as QUIC's do.
TEST_P(Gso, cuts_a_packet_into_right_datagrams) {
  const Octets payload = pattern(3000);
  h.output(frame_of(datagrams(pool, from(), to(), payload, 1200)));
  ASSERT_EQ(recorder.out.size(), 3u);
  EXPECT_EQ(count("gso", "segments"), 3u);
  Octets joined;
  for (const Octets& frame : recorder.out) {
    const auto bytes = check_ip(frame, net::kProtocolUdp);
    const auto udp = net::UdpView::parse(bytes, static_cast<uint32_t>(bytes.size()));
    ASSERT_TRUE(udp);
    EXPECT_EQ(udp->destination_port(), 443);
    EXPECT_EQ(udp->payload_size(), joined.size() < 2400 ? 1200u : 600u);
    joined.insert(joined.end(), bytes.begin() + 8, bytes.end());
  }
  EXPECT_EQ(joined, payload);
}

TEST_P(Gso, refuses_what_cannot_be_cut_or_makes_too_many) {
  PacketPtr p = segment(pool, from(), to(), pattern(3000), 1000, kTcp);
  p->data()[v4() ? 9 : 6] = 47;
  if (v4()) {
    net::store16(p->data() + 10, 0);
    net::store16(p->data() + 10, net::header_checksum(p->head().first(20)));
  }
  h.output(frame_of(std::move(p)));
  EXPECT_EQ(count("gso", "not_segments"), 1u);
  h.output(frame_of(segment(pool, from(), to(), pattern(1025), 1, kTcp)));
  EXPECT_EQ(count("gso", "too_many"), 1u);
  EXPECT_EQ(recorder.out.size(), 0u);
  EXPECT_EQ(pool.in_use(), 0u);
}

// Of IPv4 any router may cut what does not say otherwise, be it many packets at once.
TEST_F(GsoFragments, cuts_each_segment_that_the_link_cannot_carry) {
  const Octets payload = pattern(4000);
  Octets got;
  std::vector<uint32_t> sizes;
  auto server = MUST(b.open_udp({.port = 443}, [&](const UdpDatagram& d) {
    const Octets bytes = d.payload();
    sizes.push_back(static_cast<uint32_t>(bytes.size()));
    got = got + bytes;
  }));
  a.output(frame_of(datagrams(pool, ip("10.0.0.1"), ip("10.0.0.2"), payload, 2000, false)));
  loop.run_for(1s);
  EXPECT_EQ(sizes, (std::vector<uint32_t>{2000, 2000}));
  EXPECT_EQ(got, payload);
  EXPECT_EQ(count(a, "ip4-frag", "fragments"), 4u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(GsoPool, drops_and_counts_when_buffers_run_out) {
  VirtualLoop loop;
  net::PacketPool pool(64);
  net::Cable cable(port("eth0", 1), port("peer", 2), loop);
  Vnet h({.name = "h"}, loop, pool, Random(1));
  const uint16_t index = MUST(h.attach(cable.a()));
  MUST(h.add_address(index, prefix("10.0.0.1/24")));
  MUST(h.add_neighbour(index, ip("10.0.0.2"), cable.b().mac()));
  loop.run_for(5s);
  h.output(frame_of(segment(pool, ip("10.0.0.1"), ip("10.0.0.2"), pattern(10'000), 100, kTcp)));
  EXPECT_EQ(count(h, "gso", "no_buffers"), 1u);
  EXPECT_EQ(count(h, "gso", "segments"), 63u);
  loop.run_for(1s);
  EXPECT_EQ(pool.in_use(), 0u);
}

// Where both ends can do without, nothing is summed and nothing is cut.
class Offloads : public testing::Test, protected World {
 protected:
  Offloads() {
    const uint16_t ia = MUST(a.attach(cable.a())), ib = MUST(b.attach(cable.b()));
    MUST(a.add_address(ia, prefix("10.0.0.1/24")));
    MUST(b.add_address(ib, prefix("10.0.0.2/24")));
    b.register_protocol(net::kProtocolTcp, &tcp);
  }
  ~Offloads() override { b.register_protocol(net::kProtocolTcp, nullptr); }
  static net::Interface::Config offloading(uint32_t number) {
    return {.name = "eth0",
            .mac = net::MacAddress::local(number),
            .checksum_offload = true,
            .max_gso = 65535};
  }
  net::Cable cable{offloading(1), offloading(2), loop};
  Vnet a{{.name = "a"}, loop, pool, random.fork("a")};
  Vnet b{{.name = "b"}, loop, pool, random.fork("b")};
  Listener tcp;
};

TEST_F(Offloads, are_used_within_the_lab) {
  const auto route = a.route(ip("10.0.0.2"));
  ASSERT_TRUE(route);
  EXPECT_TRUE(route->checksum_offload);
  EXPECT_EQ(route->max_gso, 65535u);
  a.output(frame_of(segment(pool, ip("10.0.0.1"), ip("10.0.0.2"), pattern(9000), 1400, kTcp)));
  loop.run_for(1s);
  ASSERT_EQ(tcp.packets.size(), 1u);
  EXPECT_EQ(tcp.packets[0]->checksum, Checksum::Verified);
  EXPECT_EQ(tcp.packets[0]->gso_size, 1400);
  EXPECT_EQ(tcp.packets[0]->size(), 9040u);
  EXPECT_EQ(count(a, "gso", "segments"), 0u);
}

TEST_F(Offloads, datagrams_that_came_as_one_packet_are_delivered_each) {
  std::vector<Octets> got;
  auto server =
      MUST(b.open_udp({.port = 443}, [&](const UdpDatagram& d) { got.push_back(d.payload()); }));
  const Octets payload = pattern(3000);
  a.output(frame_of(datagrams(pool, ip("10.0.0.1"), ip("10.0.0.2"), payload, 1200)));
  loop.run_for(1s);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[2].size(), 600u);
  EXPECT_EQ(got[0] + got[1] + got[2], payload);
  EXPECT_EQ(count(a, "gso", "segments"), 0u);
}

// A router between a link that offloads and one that does not does what the first left undone.
TEST(MixedOffloads, are_made_good_by_the_router_between) {
  VirtualLoop loop;
  net::PacketPool pool;
  Random random(1);
  net::Interface::Config left_end = port("eth0", 1), left_port = port("left", 2);
  for (auto* config : {&left_end, &left_port}) {
    config->checksum_offload = true;
    config->max_gso = 65535;
  }
  net::Cable left(left_end, left_port, loop), right(port("right", 3), port("peer", 4), loop);
  Vnet a({.name = "a"}, loop, pool, random.fork("a")),
      r({.name = "r"}, loop, pool, random.fork("r"));
  Recorder recorder;
  right.a().add_tap(&recorder);
  const uint16_t ia = MUST(a.attach(left.a()));
  const uint16_t r1 = MUST(r.attach(left.b())), r2 = MUST(r.attach(right.a()));
  MUST(a.add_address(ia, prefix("10.1.0.2/24")));
  MUST(r.add_address(r1, prefix("10.1.0.1/24")));
  MUST(r.add_address(r2, prefix("10.2.0.1/24")));
  MUST(r.add_neighbour(r2, ip("10.2.0.2"), right.b().mac()));
  MUST(a.add_route(prefix("0.0.0.0/0"), ip("10.1.0.1")));
  MUST(r.sysctl().set("net.inet.ip.forwarding", "1"));
  loop.run_for(5s);
  recorder.out.clear();
  a.output(frame_of(segment(pool, ip("10.1.0.2"), ip("10.2.0.2"), pattern(4000), 1400, kTcp)));
  loop.run_for(1s);
  ASSERT_EQ(recorder.out.size(), 3u);
  for (const Octets& bytes : recorder.out) {
    net::InternetSum sum = net::pseudo_header(ip("10.1.0.2"), ip("10.2.0.2"), net::kProtocolTcp,
                                              static_cast<uint32_t>(bytes.size() - 34));
    sum.add(std::span(bytes).subspan(34));
    EXPECT_EQ(sum.checksum(), 0);
  }
}

// What a device passes on as "to be completed" may be anything.
TEST_F(Offloads, survive_a_partial_checksum_that_has_no_place) {
  MUST(a.sysctl().set("net.inet.ip.forwarding", "1"));
  for (const uint32_t size : {20u, 21u, 35u, 37u}) {
    PacketPtr p = pool.allocate();
    Octets packet = ip4({.source = net::Ip4::of(10, 0, 0, 9),
                         .destination = net::Ip4::of(10, 0, 0, 2),
                         .protocol = net::kProtocolTcp},
                        Octets(size - 20));
    p->assign(ethernet(cable.a().mac(), net::MacAddress::local(9), net::EtherType::Ip4, packet));
    p->checksum = Checksum::Needed;
    p->gso_size = 1;
    cable.a().receive(frame_of(std::move(p)));
    loop.run_for(10s);
  }
  EXPECT_GT(a.graph().drops() + tcp.packets.size(), 0u);
}

}  // namespace
}  // namespace wh::vnet
