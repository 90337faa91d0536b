#include "vnet/vnet.h"

#include "graph/show.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::PacketPtr;

TEST_F(PairTest, answers_a_ping_over_ip4) {
  const PingStatistics s = ping(a, "10.0.0.2");
  EXPECT_EQ(s.sent, 5u);
  EXPECT_EQ(s.received, 5u);  // Not even the first is lost to resolution.
  EXPECT_EQ(count(b, "ip4-icmp-echo-request", "replies"), 5u);
  EXPECT_EQ(count(b, "arp-reply", "replies"), 1u);
}

TEST_F(PairTest, answers_a_ping_over_ip6) {
  const PingStatistics s = ping(a, "2001:db8::2");
  EXPECT_EQ(s.received, 5u);
  EXPECT_EQ(count(b, "ip6-icmp-echo-request", "replies"), 5u);
}

TEST_F(PairTest, answers_a_ping_to_its_link_local_address) {
  const std::string to = to_string(net::Ip6::link_local(cable.b().mac()));
  EXPECT_EQ(ping(a, to).received, 5u);
}

TEST_F(PairTest, answers_a_ping_from_itself) {
  EXPECT_EQ(ping(a, "10.0.0.1").received, 5u);
  EXPECT_EQ(ping(a, "127.0.0.1").received, 5u);
  EXPECT_EQ(ping(a, "2001:db8::1").received, 5u);
  EXPECT_EQ(ping(a, "::1").received, 5u);
  EXPECT_EQ(cable.forward().accepted.packets, 2u);  // Only what looks for duplicate addresses.
}

TEST_F(PairTest, carries_udp_both_ways) {
  std::vector<uint8_t> got;
  std::unique_ptr<UdpSocket> server;
  server = MUST(b.open_udp({.port = 53}, [&](const UdpDatagram& d) {
    MUST(server->send(d.source, d.source_port, d.payload()));
  }));
  auto client = MUST(a.open_udp({}, [&](const UdpDatagram& d) {
    got = d.payload();
    EXPECT_EQ(d.source, ip("10.0.0.2"));
    EXPECT_EQ(d.source_port, 53);
  }));
  const std::vector<uint8_t> sent{1, 2, 3, 4, 5};
  MUST(client->send(ip("10.0.0.2"), 53, sent));
  loop.run_for(1s);
  EXPECT_EQ(got, sent);
}

}  // namespace
}  // namespace wh::vnet
