#include "net/interface.h"

#include <gtest/gtest.h>

#include "core/virtual_loop.h"

namespace wh::net {
namespace {

// A device that keeps what it is told to send.
class TestInterface final : public Interface {
 public:
  using Interface::Interface;
  std::vector<PacketPtr> sent;

 private:
  void send(Frame&& frame) override {
    for (uint32_t i = 0; i < frame.size(); ++i) sent.push_back(frame.take(i));
  }
};

struct Stack final : FrameSink {
  std::vector<PacketPtr> got;
  void accept(Frame&& frame) override {
    for (uint32_t i = 0; i < frame.size(); ++i) got.push_back(frame.take(i));
  }
};

struct Tap final : PacketTap {
  std::vector<std::pair<uint32_t, Direction>> seen;
  Instant last{};
  void see(const Packet& packet, Direction direction, Instant when) override {
    seen.emplace_back(packet.size(), direction);
    last = when;
  }
};

class InterfaceTest : public ::testing::Test {
 protected:
  Frame frame_of(std::initializer_list<uint32_t> sizes) {
    Frame frame;
    for (const uint32_t size : sizes) {
      PacketPtr p = pool_.allocate();
      p->assign(std::vector<uint8_t>(size));
      frame.push(std::move(p));
    }
    return frame;
  }
  PacketPool pool_;
  VirtualLoop loop_;
  Stack stack_;
  TestInterface interface_{{.name = "e0", .mac = MacAddress::local(1), .mtu = 1500}, loop_};
};

TEST_F(InterfaceTest, counts_and_hands_on_both_ways) {
  interface_.attach(&stack_);
  interface_.set_index(3);
  loop_.run_for(5ms);
  interface_.transmit(frame_of({60, 100}));
  interface_.receive(frame_of({200}));
  EXPECT_EQ(interface_.counters().tx_packets, 2u);
  EXPECT_EQ(interface_.counters().tx_bytes, 160u);
  EXPECT_EQ(interface_.counters().rx_packets, 1u);
  EXPECT_EQ(interface_.counters().rx_bytes, 200u);
  EXPECT_EQ(interface_.sent.size(), 2u);
  ASSERT_EQ(stack_.got.size(), 1u);
  EXPECT_EQ(stack_.got[0]->interface, 3);
  EXPECT_EQ(stack_.got[0]->arrival, VirtualLoop::kEpoch + 5ms);
}

TEST_F(InterfaceTest, drops_and_counts_when_it_is_down) {
  interface_.attach(&stack_);
  interface_.set_up(false);
  interface_.transmit(frame_of({60, 60}));
  interface_.receive(frame_of({60}));
  EXPECT_EQ(interface_.counters().tx_down, 2u);
  EXPECT_EQ(interface_.counters().rx_down, 1u);
  EXPECT_TRUE(interface_.sent.empty());
  EXPECT_TRUE(stack_.got.empty());
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(InterfaceTest, drops_what_comes_before_a_stack_is_attached) {
  interface_.receive(frame_of({60}));
  EXPECT_EQ(interface_.counters().rx_down, 1u);
}

TEST_F(InterfaceTest, drops_what_exceeds_mtu_and_link_header) {
  interface_.transmit(frame_of({1518, 1519, 60}));
  EXPECT_EQ(interface_.counters().tx_too_big, 1u);
  ASSERT_EQ(interface_.sent.size(), 2u);
  EXPECT_EQ(interface_.sent[0]->size(), 1518u);
  EXPECT_EQ(interface_.sent[1]->size(), 60u);
}

TEST_F(InterfaceTest, lets_a_large_packet_pass_that_is_cut_later) {
  Frame frame = frame_of({9000});
  frame[0].gso_size = 1448;
  interface_.transmit(std::move(frame));
  EXPECT_EQ(interface_.sent.size(), 1u);
  EXPECT_EQ(interface_.counters().tx_too_big, 0u);
}

TEST_F(InterfaceTest, shows_captures_what_passes_and_not_what_it_drops) {
  Tap tap;
  interface_.attach(&stack_);
  interface_.add_tap(&tap);
  interface_.transmit(frame_of({60, 1519}));
  interface_.receive(frame_of({61}));
  const std::vector<std::pair<uint32_t, Direction>> expected = {{60, Direction::Out},
                                                                {61, Direction::In}};
  EXPECT_EQ(tap.seen, expected);
  EXPECT_EQ(tap.last, loop_.now());
  interface_.remove_tap(&tap);
  interface_.transmit(frame_of({60}));
  EXPECT_EQ(tap.seen.size(), 2u);
}

}  // namespace
}  // namespace wh::net
