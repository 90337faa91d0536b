#include "host/stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>

#include "host/system.h"

namespace wh::host {
namespace {

class StreamTest : public testing::Test {
 protected:
  static std::unique_ptr<RealLoop> make_loop() {
    return MUST(RealLoop::make());  // Descriptors are left.
  }
  std::unique_ptr<RealLoop> loop_ = make_loop();
  std::string path_ = fmt::format("/tmp/wh-stream-{}.sock", ::getpid());
};

TEST_F(StreamTest, bytes_come_back_whole_however_many_they_are) {
  std::unique_ptr<Stream> server;
  auto listener = Listener::open_unix(path_, *loop_, [&](Fd fd) {
    server = std::make_unique<Stream>(
        std::move(fd), *loop_,
        Stream::Actions{[&](std::string_view bytes) { server->write(bytes); },
                        [&] { loop_->stop(); }},
        "echo");
    MUST(server->start());  // A fresh socket can be polled.
  });
  ASSERT_TRUE(listener) << listener.error().text;
  std::string got;
  const std::string sent(3'000'000, 'x');
  Stream client(MUST(connect_unix(path_)), *loop_,
                {[&](std::string_view bytes) {
                   got += bytes;
                   if (got.size() == sent.size()) loop_->stop();
                 },
                 [] {}},
                "client");
  ASSERT_TRUE(client.start());
  client.write(sent);
  loop_->run_for(10s);
  EXPECT_EQ(got.size(), sent.size());
  EXPECT_TRUE(got == sent);
}

TEST_F(StreamTest, reader_who_lets_too_much_pile_up_is_disconnected) {
  auto [ours, theirs] = MUST(make_socket_pair(SOCK_STREAM));
  bool closed = false;
  Stream stream(std::move(ours), *loop_, {[](std::string_view) {}, [&] { closed = true; }}, "s");
  ASSERT_TRUE(stream.start());
  const std::string part(1 << 20, 'x');
  for (size_t i = 0; i < Stream::kMostQueued / part.size() + 2; ++i) stream.write(part);
  theirs.close();
  loop_->run_for(100ms);
  EXPECT_TRUE(closed);
}

TEST_F(StreamTest, socket_of_a_dead_listener_is_replaced_and_of_a_living_one_not) {
  auto gone = Listener::open_unix(path_, *loop_, [](Fd) {});
  ASSERT_TRUE(gone) << gone.error().text;
  const std::string aside = path_ + ".aside";
  std::filesystem::rename(path_, aside);  // Out of the reach of its owner's tidying up.
  gone->reset();
  std::filesystem::rename(aside, path_);
  auto first = Listener::open_unix(path_, *loop_, [](Fd) {});
  ASSERT_TRUE(first) << first.error().text;
  auto second = Listener::open_unix(path_, *loop_, [](Fd) {});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text.find("somebody listens there"), std::string::npos);
  first->reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(StreamTest, file_that_is_no_socket_is_left_alone) {
  MUST(write_file(path_, "mine"));  // The folder can be written to.
  EXPECT_FALSE(Listener::open_unix(path_, *loop_, [](Fd) {}));
  EXPECT_EQ(MUST(read_file(path_)), "mine");
  std::filesystem::remove(path_);
}

TEST_F(StreamTest, loopback_listener_says_its_port) {
  auto listener = Listener::open_loopback(0, *loop_, [](Fd) {});
  ASSERT_TRUE(listener) << listener.error().text;
  EXPECT_NE((*listener)->port(), 0);
  EXPECT_FALSE(Listener::open_loopback((*listener)->port(), *loop_, [](Fd) {}));
  const auto other =
      Listener::open_loopback((*listener)->port(), *loop_, [](Fd) {}, net::Family::V6);
  if (other) {
    EXPECT_EQ((*other)->port(), (*listener)->port());
  } else {
    EXPECT_NE(other.error().text.find("listen on [::1]"), std::string::npos);
  }
  EXPECT_FALSE(Listener::open_unix(std::string(200, 'a'), *loop_, [](Fd) {}));
}

}  // namespace
}  // namespace wh::host
