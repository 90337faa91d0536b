// Connections on a kqueue: the same queue, filters and flags as for devices.
#include "tcp/selectable.h"

#include <gtest/gtest.h>

#include <map>

#include "event/kqueue.h"
#include "tcp/test_world.h"

namespace wh::tcp {
namespace {

struct Sockets final : event::Descriptors {
  std::shared_ptr<event::Selectable> selectable(uintptr_t ident) override {
    const auto it = open.find(ident);
    return it == open.end() ? nullptr : it->second;
  }
  std::map<uintptr_t, std::shared_ptr<SelectableConnection>> open;
};

class OnKqueue : public testing::Test {
 protected:
  OnKqueue() {
    world.establish();
    sockets.open[3] = std::make_shared<SelectableConnection>(*world.a);
    sockets.open[4] = std::make_shared<SelectableConnection>(*world.b);
  }
  void add(uintptr_t fd, short filter, unsigned short flags = 0, unsigned fflags = 0,
           int64_t data = 0) {
    const ::kevent change = {fd,     filter, static_cast<unsigned short>(EV_ADD | flags),
                             fflags, data,   nullptr};
    ASSERT_TRUE(queue.kevent({&change, 1}, {}, Duration::zero()).has_value());
  }
  std::vector<::kevent> events() {
    std::vector<::kevent> all(8);
    all.resize(queue.kevent({}, all, Duration::zero()).value());
    return all;
  }
  void send(Connection& c, size_t n) { ASSERT_EQ(c.send(pattern(0, n)).value(), n); }

  TestWorld world;
  event::LoopMonitor monitor{world.loop};
  Sockets sockets;
  event::Kqueue queue{monitor, sockets};
};

TEST_F(OnKqueue, reader_hears_of_bytes_and_their_number) {
  add(4, EVFILT_READ);
  EXPECT_TRUE(events().empty());
  send(*world.a, 100);
  world.run(20ms);
  ASSERT_EQ(events().size(), 1u);
  EXPECT_EQ(events()[0].data, 100);
  EXPECT_EQ(events()[0].flags & EV_EOF, 0);
  std::vector<uint8_t> out(100);
  EXPECT_EQ(world.b->recv(out), 100u);
  EXPECT_TRUE(events().empty());  // Level: gone with the bytes.
}

TEST_F(OnKqueue, queue_tells_its_loop_when_it_stops_being_empty) {
  add(4, EVFILT_READ, EV_CLEAR);
  int told = 0;
  queue.set_ready_hook([&] { ++told; });
  send(*world.a, 1);
  world.run(20ms);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(events().size(), 1u);
}

TEST_F(OnKqueue, low_water_mark_holds_the_event_back) {
  add(4, EVFILT_READ, 0, NOTE_LOWAT, 100);
  send(*world.a, 99);
  world.run(20ms);
  EXPECT_TRUE(events().empty());
  send(*world.a, 1);
  world.run(60ms);  // Nagle holds the byte until the delayed acknowledgment.
  EXPECT_EQ(events().size(), 1u);
}

TEST_F(OnKqueue, writer_hears_of_room_again) {
  add(3, EVFILT_WRITE);
  ASSERT_EQ(events().size(), 1u);
  const auto room = static_cast<size_t>(events()[0].data);
  EXPECT_EQ(room, world.a->writable());
  EXPECT_EQ(world.a->send(pattern(0, room + 1)).value(), room);
  EXPECT_TRUE(events().empty());
  world.run(100ms);
  EXPECT_EQ(events().size(), 1u);
}

TEST_F(OnKqueue, end_of_stream_is_eof_with_what_is_left) {
  add(4, EVFILT_READ);
  send(*world.a, 5);
  world.a->shutdown_send();
  world.run(20ms);
  const auto got = events();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_NE(got[0].flags & EV_EOF, 0);
  EXPECT_EQ(got[0].data, 5);
}

TEST_F(OnKqueue, connection_that_is_reset_is_eof_for_both_filters) {
  add(4, EVFILT_READ);
  add(4, EVFILT_WRITE, EV_CLEAR);
  events();
  sockets.open.erase(3);  // Who aborts has closed the descriptor.
  world.a->abort();
  world.run(20ms);
  const auto got = events();
  ASSERT_EQ(got.size(), 2u);
  for (const ::kevent& e : got) EXPECT_NE(e.flags & EV_EOF, 0);
}

}  // namespace
}  // namespace wh::tcp
