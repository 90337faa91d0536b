// What a link sees in a packet, and what it leaves alone.
#include "net/link/glance.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "net/link/flow_packets.h"

namespace wh::net {
namespace {

TEST(Glance, sees_the_flow_of_tcp_and_udp) {
  PacketPool pool;
  const PacketPtr tcp = tcp_packet(pool, {.port = 4000, .payload = 100, .tos = 0xb9});
  const auto g = glance_at(*tcp);
  ASSERT_TRUE(g);
  EXPECT_EQ(g->flow.source, IpAddress(Ip4::of(10, 0, 0, 1)));
  EXPECT_EQ(g->flow.destination, IpAddress(Ip4::of(10, 0, 0, 2)));
  EXPECT_EQ(g->flow.protocol, 6);
  EXPECT_EQ(g->flow.source_port, 4000);
  EXPECT_EQ(g->flow.destination_port, 80);
  EXPECT_EQ(g->ip_offset, 14u);
  EXPECT_EQ(g->transport_offset, 34u);
  EXPECT_EQ(g->transport_size, 120u);
  EXPECT_EQ(g->traffic_class, 0xb9);

  const PacketPtr six = udp_packet(pool, 4001, 200, 1, Family::V6);
  const auto h = glance_at(*six);
  ASSERT_TRUE(h);
  EXPECT_FALSE(h->flow.source.is_v4());
  EXPECT_EQ(h->flow.source_port, 4001);
  EXPECT_EQ(h->traffic_class, 1);
  EXPECT_NE(hash_of(g->flow, 1), hash_of(h->flow, 1));
  EXPECT_NE(hash_of(g->flow, 1), hash_of(g->flow, 2));
}

TEST(Glance, fragments_of_a_packet_are_one_flow_without_ports) {
  PacketPool pool;
  PacketPtr packet = udp_packet(pool, 4000, 200);
  Ip4Header ip = Ip4View::parse(packet->head().subspan(14), 186)->header();
  ip.more_fragments = true;
  ip.emit(packet->head().subspan(14, 20));
  const auto g = glance_at(*packet);
  ASSERT_TRUE(g);
  EXPECT_TRUE(g->is_fragment);
  EXPECT_EQ(g->flow.source_port, 0);
}

TEST(Glance, marks_only_what_is_ecn_capable) {
  PacketPool pool;
  for (const Family family : {Family::V4, Family::V6}) {
    PacketPtr plain = udp_packet(pool, 1, 100, 0xb8, family);
    EXPECT_FALSE(mark_congestion(*plain));
    EXPECT_EQ(glance_at(*plain)->traffic_class, 0xb8);
    for (const uint8_t ecn : {uint8_t{1}, uint8_t{2}, uint8_t{3}}) {
      PacketPtr capable = udp_packet(pool, 1, 100, uint8_t(0xb8 | ecn), family);
      EXPECT_TRUE(mark_congestion(*capable));
      const auto g = glance_at(*capable);  // Parses: the header's checksum is right.
      ASSERT_TRUE(g);
      EXPECT_EQ(g->traffic_class, 0xbb);
    }
  }
  PacketPtr other = raw_packet(pool, 60);
  EXPECT_FALSE(mark_congestion(*other));
}

TEST(Glance, damaged_packets_belong_to_no_flow_or_a_wrong_one_but_never_crash) {
  PacketPool pool;
  const uint64_t seed = 4711;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed);
  for (int i = 0; i < 20'000; ++i) {
    PacketPtr packet =
        random.one_in(2) ? tcp_packet(pool, {}) : udp_packet(pool, 1, 90, 2, Family::V6);
    for (uint64_t n = random.below(6); n != 0; --n) {
      packet->head()[random.below(packet->head_size())] = static_cast<uint8_t>(random.next());
    }
    packet->truncate(static_cast<uint32_t>(random.below(packet->size() + 1)));
    (void)glance_at(*packet);
    (void)mark_congestion(*packet);
  }
}

}  // namespace
}  // namespace wh::net
