// The tap driver between a program and a stack: a vnet in virtual time, and Linux's own.
#include "lab/device_network.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "core/virtual_loop.h"
#include "dev/fiber_machine.h"
#include "dev/fuse/shared_object_loader.h"
#include "dev/fuse/thread_machine.h"
#include "dev/kernel.h"
#include "dev/process.h"
#include "host/netns.h"
#include "host/rtnetlink.h"
#include "net/wire/describe.h"
#include "vnet/test_packets.h"

namespace wh::lab {
namespace {

using dev::Process;
using vnet::Octets;

const net::MacAddress kProgram = net::MacAddress::local(2);
const net::Ip4 kStackIp = net::Ip4::of(10, 0, 0, 1), kProgramIp = net::Ip4::of(10, 0, 0, 2);

Octets arp_who_has_stack() {
  Octets message(net::ArpPacket::kSize);
  net::ArpPacket{net::ArpOperation::Request, kProgram, kProgramIp, {}, kStackIp}.emit(message);
  return vnet::ethernet(net::MacAddress::broadcast(), kProgram, net::EtherType::Arp, message);
}
Octets ping_stack(const net::MacAddress& mac) {
  return vnet::ethernet(
      mac, kProgram, net::EtherType::Ip4,
      vnet::ip4({.source = kProgramIp, .destination = kStackIp, .protocol = net::kProtocolIcmp},
                vnet::echo4(7, 1)));
}
std::string describe(const Octets& frame) {
  return net::describe_ethernet(frame, frame.size());
}
dev::Sys<size_t> write(Process& p, int fd, const Octets& frame) {
  return p.write(fd, std::as_bytes(std::span(frame)));
}
Octets read(Process& p, int fd) {
  Octets frame(2000);
  const auto n = p.read(fd, std::as_writable_bytes(std::span(frame)));
  frame.resize(n.value_or(0));
  return frame;
}

class TapOfVnet : public testing::Test {
 protected:
  void SetUp() override {
    const auto id = kernel_.modules().load("tap");
    ASSERT_TRUE(id.has_value()) << id.error().text;
    program_.emplace(kernel_);
    index_ = MUST(vnet_.interfaces().find("tap0"));
    MUST(vnet_.add_address(index_, MUST(net::parse_prefix("10.0.0.1/24"))));
  }
  int open() { return program_->open("tap0", O_RDWR | O_NONBLOCK).value(); }

  VirtualLoop loop_;
  net::PacketPool pool_;
  vnet::Vnet vnet_{{.name = "host"}, loop_, pool_, Random(1)};
  VnetNetwork network_{vnet_};
  dev::FiberMachine machine_{loop_};
  dev::SharedObjectLoader loader_{{WH_DRIVER_DIR}};
  dev::Kernel kernel_{machine_, loader_, {.network = &network_}};
  std::optional<Process> program_;
  uint16_t index_ = 0;
};

TEST_F(TapOfVnet, program_is_a_neighbour_on_the_wire) {
  const int fd = open();
  ASSERT_EQ(write(*program_, fd, arp_who_has_stack()).value(), arp_who_has_stack().size());
  const Octets arp = read(*program_, fd);
  EXPECT_NE(describe(arp).find("10.0.0.1"), std::string::npos) << describe(arp);
  net::MacAddress mac;
  std::copy_n(arp.begin() + 6, 6, mac.bytes.begin());
  // A reader that waits is woken by the answer; poll, kevent and FIONREAD knew of it before.
  ASSERT_TRUE(write(*program_, fd, ping_stack(mac)).has_value());
  int size = 0;
  EXPECT_TRUE(program_->ioctl(fd, FIONREAD, &size).has_value());
  EXPECT_EQ(size, 98);
  ::pollfd p = {fd, POLLIN | POLLOUT, 0};
  EXPECT_EQ(program_->poll({&p, 1}, 0s).value(), 1u);
  EXPECT_EQ(p.revents, POLLIN | POLLOUT);
  const int kq = program_->kqueue().value();
  ::kevent e = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD, 0, 0, nullptr};
  EXPECT_EQ(program_->kevent(kq, {&e, 1}, {&e, 1}, 0s).value(), 1u);
  EXPECT_EQ(e.data, 98);
  const Octets reply = read(*program_, fd);
  EXPECT_NE(describe(reply).find("echo reply"), std::string::npos) << describe(reply);
  EXPECT_EQ(program_->poll({&p, 1}, 0s).value(), 1u);
  EXPECT_EQ(p.revents, POLLOUT);
}

TEST_F(TapOfVnet, reader_waits_until_the_stack_sends) {
  const int fd = program_->open("tap0", O_RDWR).value();
  Octets got;
  machine_.go("reader", [&] { got = read(*program_, fd); });
  machine_.run();
  ASSERT_TRUE(got.empty());
  MUST(vnet_.add_neighbour(index_, kProgramIp, kProgram));
  vnet::Ping ping(vnet_, {.destination = kProgramIp, .count = 1}, {});
  MUST(ping.start());
  loop_.run_for(1ms);
  machine_.run();
  EXPECT_NE(describe(got).find("10.0.0.1 > 10.0.0.2"), std::string::npos) << describe(got);
}

TEST_F(TapOfVnet, keeps_to_tap4s_manners) {
  const int fd = open();
  EXPECT_EQ(program_->open("tap0", O_RDONLY).error(), std::errc::device_or_resource_busy);
  EXPECT_EQ(write(*program_, fd, Octets(13)).error(), std::errc::io_error);
  EXPECT_EQ(write(*program_, fd, Octets(1515)).error(), std::errc::io_error);
  EXPECT_EQ(write(*program_, fd, Octets()).value(), 0u);
  std::byte b[4];
  EXPECT_EQ(program_->read(fd, b).error(), std::errc::operation_would_block);
  // A frame is taken whole; what does not fit is lost.
  ASSERT_TRUE(write(*program_, fd, arp_who_has_stack()).has_value());
  EXPECT_EQ(program_->read(fd, b).value(), 4u);
  EXPECT_EQ(program_->read(fd, b).error(), std::errc::operation_would_block);
  // More than the queue holds is dropped, and what nobody read goes with the close.
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(write(*program_, fd, arp_who_has_stack()).has_value());
  int frames = 0;
  while (program_->read(fd, b).has_value()) ++frames;
  EXPECT_EQ(frames, 50);
  ASSERT_TRUE(write(*program_, fd, arp_who_has_stack()).has_value());
  EXPECT_EQ(kernel_.modules().unload("tap").error().code, std::errc::device_or_resource_busy);
  ASSERT_TRUE(program_->close(fd).has_value());
  const int again = open();
  EXPECT_EQ(program_->read(again, b).error(), std::errc::operation_would_block);
  ASSERT_TRUE(program_->close(again).has_value());
  ASSERT_TRUE(kernel_.modules().unload("tap").has_value());
  EXPECT_FALSE(vnet_.interfaces().find("tap0").has_value());
  EXPECT_EQ(kernel_.reports().total(), 0u);
}

// In a child with a network namespace of its own, so that nothing is left on the machine.
void use_linux_tap() {
  dev::ThreadMachine machine;
  dev::SharedObjectLoader loader({WH_DRIVER_DIR});
  LinuxNetwork network;
  dev::Kernel kernel(machine, loader, {.network = &network});
  const auto id = kernel.modules().load("tap");
  CHECK(id.has_value());
  host::Rtnetlink netlink = MUST(host::Rtnetlink::open());
  MUST(netlink.add_address("tap0", MUST(net::parse_prefix("10.0.0.1/24"))));
  MUST(netlink.set_up("tap0"));
  {
    Process program(kernel);
    const int fd = program.open("tap0", O_RDWR).value();
    Octets got;
    CHECK(write(program, fd, arp_who_has_stack()).has_value());
    do got = read(program, fd);  // Linux says more, of its own accord.
    while (describe(got).find("ARP") == std::string::npos);
    net::MacAddress mac = MUST(netlink.link("tap0")).mac;
    CHECK(write(program, fd, ping_stack(mac)).has_value());
    do got = read(program, fd);
    while (describe(got).find("echo reply") == std::string::npos);
  }
  MUST(kernel.modules().unload("tap"));
  CHECK(!netlink.link("tap0").has_value());
  CHECK_EQ(kernel.reports().total(), 0u);
}

TEST(TapOfLinux, linux_answers_the_program) {
  const auto space = host::Netns::make();
  if (!space) GTEST_SKIP() << space.error().text;
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "no access to /dev/net/tun";
  auto child = space->run({.name = "tap"}, [] {
    ::alarm(30);
    use_linux_tap();
    return 0;
  });
  ASSERT_TRUE(child.has_value()) << child.error().text;
  EXPECT_TRUE(child->wait().is_success());
}

}  // namespace
}  // namespace wh::lab
