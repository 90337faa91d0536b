#include "host/netns.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "host/capabilities.h"
#include "host/system.h"
#include "host/tap.h"

namespace wh::host {
namespace {

class NetnsTest : public testing::TestWithParam<Netns::Users> {
 protected:
  void SetUp() override {
    auto space = Netns::make(GetParam());
    if (!space) GTEST_SKIP() << "needs a network namespace: " << space.error().text;
    space_ = std::make_unique<Netns>(std::move(*space));
  }
  std::unique_ptr<Netns> space_;
};

INSTANTIATE_TEST_SUITE_P(Users, NetnsTest, testing::Values(Netns::Users::Host, Netns::Users::Own),
                         [](const auto& of) {
                           return of.param == Netns::Users::Host ? "host" : "own";
                         });

uint64_t inode_of(const char* path) {
  struct stat info {};
  return ::stat(path, &info) == 0 ? info.st_ino : 0;
}

TEST_P(NetnsTest, has_only_a_loopback_which_is_up) {
  auto kernel = space_->netlink();
  ASSERT_TRUE(kernel) << kernel.error().text;
  const auto links = kernel->links();
  ASSERT_TRUE(links) << links.error().text;
  ASSERT_EQ(links->size(), 1u);
  EXPECT_EQ(links->front().name, "lo");
  EXPECT_TRUE(links->front().is_up);
}

TEST_P(NetnsTest, is_another_than_this_process_is_in) {
  const uint64_t here = inode_of("/proc/self/ns/net");
  EXPECT_NE(space_->inode(), here);
  EXPECT_EQ(inode_of(space_->path().c_str()), space_->inode());
  const auto called = space_->call([&]() -> Result<void> {
    if (inode_of("/proc/self/ns/net") != space_->inode()) return fail("not inside");
    if (::geteuid() != 0) return fail("not root inside");
    return {};
  });
  EXPECT_TRUE(called) << called.error().text;
  EXPECT_EQ(inode_of("/proc/self/ns/net"), here);
}

TEST_P(NetnsTest, addresses_and_routes_carry_packets_between_two_namespaces) {
  auto other = space_->make_beside();
  ASSERT_TRUE(other) << other.error().text;
  auto here = MUST(space_->netlink());  // The namespaces were made, so they can be asked, here and
  auto there = MUST(other->netlink());  // below.
  const auto made = here.add_veth("left", "right", other->fd());
  if (!made && made.error().code == std::errc::operation_not_supported) {
    GTEST_SKIP() << "needs veth: " << made.error().text;
  }
  ASSERT_TRUE(made) << made.error().text;
  const auto mac = net::MacAddress::local(7);
  ASSERT_TRUE(here.set_mac("left", mac));
  ASSERT_TRUE(here.set_mtu("left", 1400));
  ASSERT_TRUE(here.add_address("left", MUST(net::parse_prefix("10.1.0.1/24"))));
  ASSERT_TRUE(here.add_address("left", MUST(net::parse_prefix("2001:db8::1/64"))));
  ASSERT_TRUE(there.add_address("right", MUST(net::parse_prefix("10.1.0.2/24"))));
  ASSERT_TRUE(there.add_address("right", MUST(net::parse_prefix("2001:db8::2/64"))));
  ASSERT_TRUE(there.add_address("lo", MUST(net::parse_prefix("10.9.9.9/32"))));
  ASSERT_TRUE(here.set_up("left"));
  ASSERT_TRUE(there.set_up("right"));
  ASSERT_TRUE(
      here.add_route(MUST(net::parse_prefix("10.9.0.0/16")), MUST(net::parse_ip("10.1.0.2"))));
  ASSERT_TRUE(here.set_offloads("left", false));
  const LinkInfo left = MUST(here.link("left"));
  EXPECT_EQ(left.mac, mac);
  EXPECT_EQ(left.mtu, 1400u);
  EXPECT_TRUE(left.is_up);
  for (const char* address : {"10.1.0.2", "10.9.9.9", "2001:db8::2"}) {
    Fd nowhere = MUST(open_file("/dev/null", O_WRONLY));
    auto ping =
        space_->run_program({.standard_output = nowhere.raw()}, {"ping", "-c1", "-W5", address});
    if (!ping) GTEST_SKIP() << ping.error().text;
    EXPECT_TRUE(ping->wait().is_success()) << address;
  }
}

TEST_P(NetnsTest, errors_name_the_attempt_and_the_reason) {
  auto kernel = MUST(space_->netlink());
  const auto missing = kernel.set_up("eth9");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().text, "interface eth9: No such device");
  const auto prefix = MUST(net::parse_prefix("10.1.0.1/24"));
  ASSERT_TRUE(kernel.add_address("lo", prefix));
  const auto again = kernel.add_address("lo", prefix);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, std::errc::file_exists);
  EXPECT_TRUE(again.error().text.starts_with("add address 10.1.0.1/24 to lo: File exists"))
      << again.error().text;
  EXPECT_FALSE(space_->set_sysctl("net.ipv4.no_such_thing", "1"));
}

TEST_P(NetnsTest, sysctls_are_its_own) {
  const auto before = read_file("/proc/sys/net/ipv4/tcp_sack");
  ASSERT_TRUE(space_->set_sysctl("net.ipv4.tcp_sack", "0"));
  EXPECT_EQ(read_file("/proc/sys/net/ipv4/tcp_sack").value_or(""), before.value_or(""));
  const auto inside = space_->call([]() -> Result<void> {
    const std::string now = TRY(read_file("/proc/sys/net/ipv4/tcp_sack"));
    return now == "0\n" ? Result<void>{} : fail("it is {}", now);
  });
  EXPECT_TRUE(inside) << inside.error().text;
}

TEST_P(NetnsTest, neighbours_and_device_routes_are_accepted) {
  auto kernel = MUST(space_->netlink());
  const auto made = kernel.add_veth("left", "right");
  if (!made) GTEST_SKIP() << "needs veth: " << made.error().text;
  ASSERT_TRUE(kernel.set_up("left"));
  ASSERT_TRUE(kernel.add_route(MUST(net::parse_prefix("10.2.0.0/16")), "left"));
  EXPECT_TRUE(
      kernel.add_neighbour("left", MUST(net::parse_ip("10.2.0.1")), net::MacAddress::local(1)));
  EXPECT_TRUE(
      kernel.add_neighbour("left", MUST(net::parse_ip("fe80::1")), net::MacAddress::local(1)));
  EXPECT_TRUE(kernel.delete_link("left"));
  EXPECT_EQ(MUST(kernel.links()).size(), 1u);  // The peer goes with it.
}

TEST_P(NetnsTest, function_inside_reports_its_error) {
  const auto called = space_->call([] { return Result<void>(fail("no luck")); });
  ASSERT_FALSE(called);
  EXPECT_EQ(called.error().text, "no luck");
  const auto opened = space_->open([] { return Result<Fd>(fail("no file")); });
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().text, "no file");
}

}  // namespace
}  // namespace wh::host
