#include "host/rtnetlink.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/fd.h"

namespace wh::host {
namespace {

// Whoever knows the socket's number can send to it, and guess the number of the next question.
TEST(RtnetlinkTest, believes_no_answer_but_the_kernels) {
  auto netlink = Rtnetlink::open();
  ASSERT_TRUE(netlink) << netlink.error().text;
  ASSERT_TRUE(netlink->links());
  const Fd stranger(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    nlmsgerr error;
  } refusal{};
  refusal.header.nlmsg_len = sizeof refusal;
  refusal.header.nlmsg_type = NLMSG_ERROR;
  refusal.error.error = -EPERM;
  sockaddr_nl to{};
  socklen_t size = sizeof to;
  // Sound: the kernel writes a sockaddr_nl, and takes any address by this pointer.
  ASSERT_EQ(::getsockname(netlink->fd(), reinterpret_cast<sockaddr*>(&to), &size), 0);
  refusal.header.nlmsg_pid = to.nl_pid;
  for (uint32_t sequence = 1; sequence < 8; ++sequence) {
    refusal.header.nlmsg_seq = sequence;
    const ssize_t sent = ::sendto(stranger.raw(), &refusal, sizeof refusal, 0,
                                  reinterpret_cast<const sockaddr*>(&to), sizeof to);
    if (sent < 0) GTEST_SKIP() << "needs CAP_NET_ADMIN: " << std::strerror(errno);
  }
  const auto links = netlink->links();
  ASSERT_TRUE(links) << links.error().text;
  EXPECT_FALSE(links->empty());
}

}  // namespace
}  // namespace wh::host
