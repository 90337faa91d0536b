// Which acknowledgments a cable modem drops, and which it must not.
#include "net/link/keep_last_ack.h"

#include <gtest/gtest.h>

#include "net/link/flow_packets.h"
#include "net/link/link.h"

namespace wh::net {
namespace {

using Acks = std::vector<uint32_t>;

class KeepLastAckTest : public ::testing::Test {
 protected:
  void put(const SegmentSpec& spec) { queue.enqueue(tcp_packet(pool, spec)); }
  // Acknowledgment numbers in the order in which they leave.
  Acks drain() {
    Acks acks;
    while (const PacketPtr packet = queue.dequeue({})) {
      acks.push_back(TcpView::parse(packet->head().subspan(34))->ack().value());
    }
    return acks;
  }
  uint64_t replaced() const { return counters.dropped_for(DropReason::AckReplaced).packets; }

  PacketPool pool;
  LinkCounters counters;
  KeepLastAck queue{{}, counters};
};

TEST_F(KeepLastAckTest, keeps_only_the_last_of_acks_in_sequence) {
  for (const uint32_t ack : {1000u, 3000u, 5000u}) put({.ack = ack});
  EXPECT_EQ(queue.held().packets, 1u);
  EXPECT_EQ(replaced(), 2u);
  EXPECT_EQ(drain(), (Acks{5000}));
}

TEST_F(KeepLastAckTest, new_ack_takes_the_place_of_the_old) {
  put({.port = 1, .ack = 1000});
  put({.port = 2, .ack = 77});
  put({.port = 1, .ack = 3000});
  EXPECT_EQ(drain(), (Acks{3000, 77}));
}

TEST_F(KeepLastAckTest, flows_are_kept_apart) {
  for (const uint16_t port : {uint16_t{1}, uint16_t{2}, uint16_t{3}}) {
    for (const uint32_t ack : {100u, 200u}) put({.port = port, .ack = ack + port});
  }
  EXPECT_EQ(drain(), (Acks{201, 202, 203}));
}

TEST_F(KeepLastAckTest, an_ack_that_has_left_is_not_replaced) {
  put({.ack = 1000});
  EXPECT_EQ(drain(), (Acks{1000}));
  put({.ack = 3000});
  EXPECT_EQ(replaced(), 0u);
  EXPECT_EQ(drain(), (Acks{3000}));
}

TEST_F(KeepLastAckTest, order_is_modular) {
  put({.ack = 0xfffffff0});
  put({.ack = 0x10});
  EXPECT_EQ(drain(), (Acks{0x10}));
}

TEST_F(KeepLastAckTest, duplicates_and_older_acks_all_pass) {
  for (const uint32_t ack : {1000u, 1000u, 1000u, 900u}) put({.ack = ack});
  EXPECT_EQ(replaced(), 0u);
  EXPECT_EQ(drain(), (Acks{1000, 1000, 1000, 900}));
}

TEST_F(KeepLastAckTest, ack_after_duplicates_replaces_the_last_of_them_only) {
  for (const uint32_t ack : {1000u, 1000u, 2000u}) put({.ack = ack});
  EXPECT_EQ(drain(), (Acks{1000, 2000}));
}

TEST_F(KeepLastAckTest, window_of_the_newer_one_counts) {
  put({.ack = 1000, .window = 500});
  put({.ack = 2000, .window = 7});
  const PacketPtr packet = queue.dequeue({});
  EXPECT_EQ(TcpView::parse(packet->head().subspan(34))->window(), 7);
}

TEST_F(KeepLastAckTest, timestamps_alone_are_no_obstacle) {
  TcpOptions old_stamp, new_stamp;
  old_stamp.timestamps = TcpTimestamps{0xffffffff, 5};
  new_stamp.timestamps = TcpTimestamps{3, 6};  // Later, past the wrap.
  put({.ack = 1000, .options = old_stamp});
  put({.ack = 2000, .options = new_stamp});
  EXPECT_EQ(drain(), (Acks{2000}));
  put({.ack = 3000, .options = new_stamp});
  put({.ack = 4000, .options = old_stamp});  // A timestamp that goes back is not in sequence.
  EXPECT_EQ(drain(), (Acks{3000, 4000}));
}

struct Obstacle {
  const char* what;
  SegmentSpec first, second;
};

TEST_F(KeepLastAckTest, anything_more_than_an_ack_keeps_both) {
  TcpOptions sack, stamp;
  sack.add_sack({SeqNum(5000), SeqNum(6000)});
  stamp.timestamps = TcpTimestamps{1, 1};
  const Obstacle cases[] = {
      {"data in the first", {.ack = 1, .payload = 10}, {.ack = 2}},
      {"data in the second", {.ack = 1}, {.ack = 2, .payload = 10}},
      {"SYN", {.ack = 1, .flags = kTcpAck | kTcpSyn}, {.ack = 2}},
      {"FIN", {.ack = 1}, {.ack = 2, .flags = kTcpAck | kTcpFin}},
      {"RST", {.ack = 1}, {.ack = 2, .flags = kTcpAck | kTcpRst}},
      {"PSH", {.ack = 1, .flags = kTcpAck | kTcpPsh}, {.ack = 2, .flags = kTcpAck | kTcpPsh}},
      {"ECE begins", {.ack = 1}, {.ack = 2, .flags = kTcpAck | kTcpEce}},
      {"ECE ends", {.ack = 1, .flags = kTcpAck | kTcpEce}, {.ack = 2}},
      {"SACK in the first", {.ack = 1, .options = sack}, {.ack = 2}},
      {"SACK in the second", {.ack = 1}, {.ack = 2, .options = sack}},
      {"SACK in both", {.ack = 1, .options = sack}, {.ack = 2, .options = sack}},
      {"timestamps in one", {.ack = 1, .options = stamp}, {.ack = 2}},
      {"traffic class", {.ack = 1}, {.ack = 2, .tos = 0x20}},
      {"ECN field", {.ack = 1}, {.ack = 2, .tos = 3}},
      {"sequence number", {.seq = 1, .ack = 1}, {.seq = 2, .ack = 2}},
  };
  for (const Obstacle& c : cases) {
    put(c.first);
    put(c.second);
    EXPECT_EQ(drain(), (Acks{c.first.ack, c.second.ack})) << c.what;
  }
  EXPECT_EQ(replaced(), 0u);
}

TEST_F(KeepLastAckTest, equal_ecn_echoes_are_in_sequence) {
  put({.ack = 1, .flags = kTcpAck | kTcpEce});
  put({.ack = 2, .flags = kTcpAck | kTcpEce});
  EXPECT_EQ(drain(), (Acks{2}));
}

TEST_F(KeepLastAckTest, ack_does_not_overtake_its_own_flow) {
  put({.ack = 1000});
  put({.ack = 1000, .payload = 100});
  put({.seq = 101, .ack = 2000});
  put({.seq = 101, .ack = 3000});
  EXPECT_EQ(drain(), (Acks{1000, 1000, 3000}));
}

TEST_F(KeepLastAckTest, other_packets_pass_untouched) {
  queue.enqueue(raw_packet(pool, 60, 1));
  queue.enqueue(udp_packet(pool, 1, 100));
  queue.enqueue(udp_packet(pool, 1, 100));
  EXPECT_EQ(queue.held().packets, 3u);
}

TEST_F(KeepLastAckTest, queue_is_bounded_and_replacing_needs_no_room) {
  queue.set_limit({.packets = 2});
  put({.port = 1, .ack = 1});
  put({.port = 2, .ack = 1});
  put({.port = 3, .ack = 1});
  EXPECT_EQ(counters.dropped_for(DropReason::QueueFull).packets, 1u);
  put({.port = 1, .ack = 2});
  EXPECT_EQ(replaced(), 1u);
  EXPECT_EQ(drain(), (Acks{2, 1}));
}

TEST_F(KeepLastAckTest, places_survive_the_growth_of_the_queue) {
  for (uint16_t port = 1; port <= 300; ++port) put({.port = port, .ack = port});
  for (int i = 0; i < 100; ++i) (void)queue.dequeue({});
  put({.port = 200, .ack = 9999});
  EXPECT_EQ(replaced(), 1u);
  const Acks acks = drain();
  ASSERT_EQ(acks.size(), 200u);
  EXPECT_EQ(acks[99], 9999u);
}

// The article's example: acknowledgments 1, 3 and 5 wait for one grant, and only 5 is sent.
TEST_F(KeepLastAckTest, modem_sends_the_last_ack_at_its_grant) {
  VirtualLoop loop;
  Recorder end(loop);
  Link link(MUST(parse_link_config("rev.slot=5ms,rev.ack=keep_last")), {"a"}, {"b"}, loop, pool,
            Random(1));
  link.a().attach(&end);
  for (const uint32_t ack : {1u, 3u, 5u}) {
    link.b().transmit(frame_of(tcp_packet(pool, {.ack = 1448 * ack})));
    loop.run_for(1ms);
  }
  loop.run();
  ASSERT_EQ(end.arrivals.size(), 1u);
  EXPECT_EQ(end.arrivals[0].when, VirtualLoop::kEpoch + 5ms);
  EXPECT_EQ(link.reverse().counters().dropped_for(DropReason::AckReplaced).packets, 2u);
  EXPECT_TRUE(link.check_conservation().has_value());
}

}  // namespace
}  // namespace wh::net
