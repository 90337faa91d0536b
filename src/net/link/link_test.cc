// Whole links: cable and emulated, their books, and that one seed gives one history.
#include "net/link/link.h"

#include <gtest/gtest.h>

#include <set>

#include "net/link/cable.h"
#include "net/link/link_test_support.h"

namespace wh::net {
namespace {

using Times = std::vector<int64_t>;
using Numbers = std::vector<uint32_t>;

class LinkTest : public ::testing::Test {
 protected:
  std::unique_ptr<Link> make(std::string_view text, uint64_t seed = 1) {
    auto link = std::make_unique<Link>(
        MUST(parse_link_config(text)), Interface::Config{"a", MacAddress::local(1)},
        Interface::Config{"b", MacAddress::local(2)}, loop, pool, Random(seed));
    link->a().attach(&at_a);
    link->b().attach(&at_b);
    return link;
  }
  VirtualLoop loop;
  PacketPool pool;
  Recorder at_a{loop}, at_b{loop};
};

TEST_F(LinkTest, cable_joins_two_interfaces_both_ways) {
  Cable cable({"epair0a", MacAddress::local(1)}, {"epair0b", MacAddress::local(2)}, loop);
  cable.a().attach(&at_a);
  cable.b().attach(&at_b);
  Frame frame;
  for (uint32_t i = 0; i < 3; ++i) frame.push(raw_packet(pool, 100, i));
  cable.a().transmit(std::move(frame));
  cable.b().transmit(frame_of(raw_packet(pool, 60, 9)));
  EXPECT_TRUE(at_b.arrivals.empty());
  loop.run();
  EXPECT_EQ(at_b.numbers(), (Numbers{0, 1, 2}));
  EXPECT_EQ(at_b.times(), (Times{0, 0, 0}));
  EXPECT_EQ(at_b.arrivals[0].frame, at_b.arrivals[2].frame);
  EXPECT_EQ(at_a.numbers(), (Numbers{9}));
  EXPECT_EQ(cable.a().counters().rx_packets, 1u);
  EXPECT_EQ(cable.forward().delivered, (Tally{3, 300}));
}

TEST_F(LinkTest, cable_drops_and_counts_what_exceeds_its_limit) {
  Cable cable({"a"}, {"b"}, loop, 2);
  cable.b().attach(&at_b);
  for (uint32_t i = 0; i < 3; ++i) cable.a().transmit(frame_of(raw_packet(pool, 60, i)));
  EXPECT_EQ(cable.forward().dropped_for(DropReason::WireFull), (Tally{1, 60}));
  loop.run();
  EXPECT_EQ(at_b.numbers(), (Numbers{0, 1}));
}

TEST_F(LinkTest, packet_takes_serialisation_and_propagation) {
  auto link = make("rate=40Mbps,delay=10ms");
  link->a().transmit(frame_of(raw_packet(pool, 1514, 1)));
  link->b().transmit(frame_of(raw_packet(pool, 1514, 2)));
  loop.run();
  EXPECT_EQ(at_b.times(), (Times{10'302'800}));
  EXPECT_EQ(at_a.times(), (Times{10'302'800}));  // The reverse has the same rate and delay.
}

TEST_F(LinkTest, directions_are_configured_separately) {
  auto link = make("rate=40Mbps,delay=10ms,loss=100%,rev.rate=1Mbps,rev.delay=1ms");
  link->a().transmit(frame_of(raw_packet(pool, 1514, 1)));
  link->b().transmit(frame_of(raw_packet(pool, 1000, 2)));
  loop.run();
  EXPECT_TRUE(at_b.arrivals.empty());
  EXPECT_EQ(at_a.times(), (Times{9'000'000}));
  EXPECT_TRUE(link->check_conservation().has_value());
}

TEST_F(LinkTest, full_link_delivers_exactly_its_rate) {
  auto link = make("rate=9.7Mbps,delay=3ms,buffer=50ms");
  // Offered twice the rate for ten seconds.
  Timer source(loop, [&] {
    link->a().transmit(frame_of(raw_packet(pool, 1514)));
    source.arm(loop.now() + 624us);
  });
  source.arm(loop.now());
  loop.run_for(10s);
  const auto& c = link->forward().counters();
  // To the byte: as many whole packets as the rate lets through until 3 ms ago, from the first
  // arrival on.
  const int64_t bits = int64_t{9'700'000} * 9'997 / 1000;
  EXPECT_EQ(c.delivered.packets, static_cast<uint64_t>(bits / (1514 * 8)));
  EXPECT_NEAR(link->forward().sent_bytes() / link->forward().capacity_bytes(), 1.0, 0.0002);
  EXPECT_GT(c.dropped_for(DropReason::QueueFull).packets, 1000u);
  EXPECT_TRUE(link->check_conservation().has_value());
}

TEST_F(LinkTest, buffer_in_time_bounds_the_queueing_delay) {
  auto link = make("rate=12.112Mbps,buffer=10ms");  // One packet of 1514 bytes takes 1 ms.
  for (uint32_t i = 0; i < 20; ++i) link->a().transmit(frame_of(raw_packet(pool, 1514, i)));
  loop.run();
  // One on the transmitter, ten in the queue.
  EXPECT_EQ(at_b.arrivals.size(), 11u);
  EXPECT_EQ(link->forward().counters().queue_ns.max(), 10'000'000u);
  EXPECT_EQ(link->forward().counters().peak, (Tally{10, 15140}));
}

TEST_F(LinkTest, new_rate_keeps_the_buffer_time) {
  auto link = make("rate=12.112Mbps,buffer=10ms");
  link->forward().set_rate(Rate::bits_per_second(24'224'000));
  for (uint32_t i = 0; i < 40; ++i) link->a().transmit(frame_of(raw_packet(pool, 1514, i)));
  loop.run();
  EXPECT_EQ(at_b.arrivals.size(), 21u);
  EXPECT_EQ(to_string(LinkConfig{link->forward().config(), link->forward().config()}),
            "rate=24.224Mbps,buffer=10ms,rev.buffer=10ms");
}

TEST_F(LinkTest, flap_holds_the_queue_and_goes_on) {
  auto link = make("rate=1Mbps,delay=1ms,buffer=4p");
  link->set_up(false);
  for (uint32_t i = 0; i < 5; ++i) link->a().transmit(frame_of(raw_packet(pool, 1000, i)));
  loop.run_for(1s);
  EXPECT_TRUE(at_b.arrivals.empty());
  EXPECT_EQ(link->forward().queued(), (Tally{4, 4000}));
  EXPECT_EQ(link->forward().counters().dropped_for(DropReason::QueueFull).packets, 1u);
  EXPECT_TRUE(link->check_conservation().has_value());
  link->set_up(true);
  loop.run();
  EXPECT_EQ(at_b.times(), (Times{1'009'000'000, 1'017'000'000, 1'025'000'000, 1'033'000'000}));
}

TEST_F(LinkTest, packets_under_way_return_to_the_pool_with_the_link) {
  auto link = make("rate=1Mbps,delay=10ms,reorder=50%,reorder_gap=0");
  for (uint32_t i = 0; i < 10; ++i) link->a().transmit(frame_of(raw_packet(pool, 1000, i)));
  loop.run_for(25ms);
  EXPECT_GT(pool.in_use(), 0u);
  link.reset();
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(loop.timers_armed(), 0u);
}

}  // namespace
}  // namespace wh::net
