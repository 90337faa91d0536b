#include "host/acceptor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "host/no_descriptor_left.h"
#include "host/stream.h"

namespace wh::host {
namespace {

TEST(Acceptor, lets_those_who_knock_wait_while_no_descriptor_is_left) {
  const auto loop = MUST(RealLoop::make());  // There are descriptors.
  const std::string path = fmt::format("/tmp/wh-acceptor-{}.sock", ::getpid());
  std::vector<Fd> accepted;
  const auto listener =
      Listener::open_unix(path, *loop, [&](Fd fd) { accepted.push_back(std::move(fd)); });
  ASSERT_TRUE(listener) << listener.error().text;
  const Fd first = MUST(connect_unix(path));  // It listens.
  // All that follows has then been called once: to check a call, UBSan may want a pipe.
  loop->run_for(20ms);
  EXPECT_EQ(accepted.size(), 1u);
  const Fd second = MUST(connect_unix(path)), third = MUST(connect_unix(path));
  {
    const NoDescriptorLeft none;
    const uint64_t before = loop->waits();
    loop->run_for(50ms);
    EXPECT_EQ(accepted.size(), 1u);
    EXPECT_LT(loop->waits() - before, 50u) << "no busy wait";
  }
  loop->run_for(50ms);
  EXPECT_EQ(accepted.size(), 3u);
}

}  // namespace
}  // namespace wh::host
