// Descriptors that are no sockets, and what a script may ask of any.
#include <gtest/gtest.h>

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "host/question.h"
#include "packetdrill/control.h"
#include "packetdrill/test_support.h"

namespace wh::packetdrill {
namespace {

class DescriptorTest : public InterfaceTest {
 protected:
  struct Pipe {
    int from = -1, to = -1;
  };
  Pipe make_pipe() {
    int fds[2];
    EXPECT_EQ(ifc.pipe(ifc.userdata, fds), 0);
    for (const int fd : fds) ifc.fcntl(ifc.userdata, fd, F_SETFL, O_NONBLOCK);
    return {fds[0], fds[1]};
  }
  // As much as is there.
  std::string drain(int fd) {
    std::string bytes(100'000, ' ');
    const ssize_t n = ifc.read(ifc.userdata, fd, bytes.data(), bytes.size());
    bytes.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return bytes;
  }
  int make_epoll() { return ifc.epoll_create(ifc.userdata, 1); }
  int watch(int set, int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    return ifc.epoll_ctl(ifc.userdata, set, EPOLL_CTL_ADD, fd, &event);
  }
};

TEST_F(DescriptorTest, a_splice_leaves_what_the_sink_has_no_room_for) {
  const Pipe source = make_pipe(), sink = make_pipe();
  const std::string before(60'000, 'a');
  std::string bytes;
  for (size_t i = 0; i < 60'000; ++i) bytes += static_cast<char>('a' + i % 26);
  ASSERT_EQ(ifc.write(ifc.userdata, sink.to, before.data(), before.size()), 60'000);
  ASSERT_EQ(ifc.write(ifc.userdata, source.to, bytes.data(), bytes.size()), 60'000);
  const auto splice = [&] {
    return ifc.splice(ifc.userdata, source.from, nullptr, sink.to, nullptr, 60'000,
                      SPLICE_F_NONBLOCK);
  };
  EXPECT_EQ(splice(), 5'536);  // Of 65,536.
  EXPECT_EQ(splice(), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_TRUE(drain(sink.from) == before + bytes.substr(0, 5'536));
  EXPECT_EQ(splice(), 60'000 - 5'536);
  EXPECT_TRUE(drain(sink.from) == bytes.substr(5'536));
}

TEST_F(DescriptorTest, a_splice_takes_data_from_a_connection_once) {
  const int fd = establish();
  const Pipe pipe = make_pipe();
  inject(net::kTcpAck | net::kTcpPsh, 1, iss + 1, 100);
  EXPECT_EQ(ifc.splice(ifc.userdata, fd, nullptr, pipe.to, nullptr, 60, SPLICE_F_NONBLOCK), 60);
  EXPECT_EQ(ifc.splice(ifc.userdata, fd, nullptr, pipe.to, nullptr, 60, SPLICE_F_NONBLOCK), 40);
  EXPECT_EQ(ifc.splice(ifc.userdata, fd, nullptr, pipe.to, nullptr, 60, SPLICE_F_NONBLOCK), -1);
  EXPECT_EQ(drain(pipe.from), std::string(100, 'x'));
}

TEST_F(DescriptorTest, epoll_sets_do_not_watch_each_other) {
  const int first = make_epoll(), second = make_epoll(), third = make_epoll();
  EXPECT_EQ(watch(first, second), 0);
  EXPECT_EQ(watch(second, third), 0);
  EXPECT_EQ(watch(third, first), -1);
  EXPECT_EQ(errno, ELOOP);
  const Pipe pipe = make_pipe();
  EXPECT_EQ(watch(third, pipe.from), 0);
  epoll_event event{};
  EXPECT_EQ(ifc.epoll_wait(ifc.userdata, first, &event, 1, 0), 0);
  EXPECT_EQ(ifc.write(ifc.userdata, pipe.to, "x", 1), 1);
  EXPECT_EQ(ifc.epoll_wait(ifc.userdata, first, &event, 1, 0), 1);
  EXPECT_EQ(event.data.fd, second);
}

TEST_F(DescriptorTest, a_read_may_ask_for_any_number_of_bytes) {
  const int fd = establish();
  inject(net::kTcpAck | net::kTcpPsh, 1, iss + 1, 100);
  std::string bytes(100, ' ');
  EXPECT_EQ(ifc.recv(ifc.userdata, fd, bytes.data(), SIZE_MAX, MSG_DONTWAIT), 100);
  EXPECT_EQ(bytes, std::string(100, 'x'));
}

TEST_F(DescriptorTest, a_datagram_socket_forgets_its_peer) {
  const int fd = ifc.socket(ifc.userdata, AF_INET, SOCK_DGRAM, IPPROTO_UDP);
  sockaddr_in us = address("192.168.0.1", 5000), peer = address("192.0.2.1", 4000);
  ASSERT_EQ(ifc.bind(ifc.userdata, fd, reinterpret_cast<sockaddr*>(&us), sizeof us), 0);
  EXPECT_EQ(ifc.connect(ifc.userdata, fd, reinterpret_cast<sockaddr*>(&peer), sizeof peer), 0);
  EXPECT_EQ(ifc.write(ifc.userdata, fd, "x", 1), 1);
  peer.sin_family = AF_UNSPEC;
  EXPECT_EQ(ifc.connect(ifc.userdata, fd, reinterpret_cast<sockaddr*>(&peer), sizeof peer), 0);
  EXPECT_EQ(ifc.write(ifc.userdata, fd, "x", 1), -1);
  EXPECT_EQ(errno, EDESTADDRREQ);
}

TEST_F(DescriptorTest, lists_leaves_whose_value_is_a_table) {
  const std::string answer =
      MUST(host::ask(std::getenv(kControlVariable), "sysctl\nlist\nnet.inet.tcp"));
  EXPECT_TRUE(answer.starts_with("ok\n"));
  size_t leaves = 0;
  for (size_t at = 3; at < answer.size(); ++leaves) {
    const size_t end = answer.find('\0', at);
    ASSERT_NE(end, std::string::npos);
    const std::string leaf = answer.substr(at, end - at);
    EXPECT_EQ(std::count(leaf.begin(), leaf.end(), '\t'), 8) << leaf;
    at = end + 1;
  }
  EXPECT_GT(leaves, 100u);
}

}  // namespace
}  // namespace wh::packetdrill
