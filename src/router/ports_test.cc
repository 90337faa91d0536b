#include "router/ports.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "core/virtual_loop.h"
#include "host/device_interface.h"
#include "host/system.h"
#include "router/configuration.h"

namespace wh::router {
namespace {

// A device whose other end can go, as a Linux interface that is deleted.
class PairDevice final : public host::DeviceInterface {
 public:
  PairDevice(host::Fd fd, Config config, host::RealLoop& loop)
      : DeviceInterface(std::move(fd), std::move(config), 8, loop) {}
  Result<void> begin() { return start(); }
  using DeviceInterface::note_link;

 private:
  host::Progress read_frames() override {
    std::array<uint8_t, 64> bytes;
    const auto got = host::read_some(fd(), bytes);
    if (got && *got == 0) close();
    return host::Progress::None;
  }
  size_t write_frames(std::span<net::Packet* const> packets) override { return packets.size(); }
};

class PairPorts final : public Ports {
 public:
  explicit PairPorts(host::RealLoop& loop) : loop_(loop), plain_(loop) {}
  Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec, net::PacketPool&) override {
    auto config = TRY(describe(spec));
    auto [ours, theirs] = TRY(host::make_socket_pair(SOCK_STREAM));
    auto device = std::make_unique<PairDevice>(std::move(ours), std::move(config), loop_);
    TRY(device->begin());
    ends.insert_or_assign(spec.link, std::move(theirs));
    return device;
  }
  Result<net::Interface::Config> describe(const PortSpec& spec) override {
    if (is_absent) return fail("no interface {}", spec.link);
    return plain_.describe(spec);
  }
  std::map<std::string, host::Fd> ends;
  bool is_absent = false;

 private:
  host::RealLoop& loop_;
  PaperPorts plain_;
};

TEST(Ports, follows_its_links_mtu_and_tells_of_its_carrier) {
  const auto loop = MUST(host::RealLoop::make());  // Descriptors are left.
  PairPorts ports(*loop);
  Router router({}, *loop, ports);
  CommandLine line(router);
  for (const char* text :
       {"create netmap name e1", "set interface state netmap-e1 up",
        "create sub-interfaces netmap-e1 2 dot1ad 200 inner-dot1q 7",
        "create sub-interfaces netmap-e1 100", "set interface mtu packet 1300 netmap-e1.100"}) {
    MUST(line.set(text));
  }
  auto& device = dynamic_cast<PairDevice&>(*router.ports()[0]->device);
  const auto mtus = [&] {
    std::vector<uint32_t> all;
    for (uint16_t i = 1; i <= 3; ++i) all.push_back(router.vnet().interfaces()[i].mtu());
    return all;
  };
  const auto said = [&](const char* command, const char* what) {
    return MUST(line.run(command)).text().find(what) != std::string::npos;
  };
  const std::string saved = to_text(line.configuration());
  EXPECT_EQ(mtus(), (std::vector<uint32_t>{1500, 1492, 1300}));
  device.note_link(1200, true);
  EXPECT_EQ(mtus(), (std::vector<uint32_t>{1200, 1192, 1200}));
  EXPECT_EQ(device.link_frame(), 1218u);
  EXPECT_EQ(line.set("set interface mtu packet 1300 netmap-e1").error().text,
            "mtu 1300: the link of netmap-e1 carries 1200");
  EXPECT_EQ(to_text(line.configuration()), saved);
  device.note_link(9000, true);
  EXPECT_EQ(mtus(), (std::vector<uint32_t>{9000, 8992, 1300}));
  EXPECT_EQ(to_text(line.configuration()), saved);
  EXPECT_TRUE(said("show hardware-interfaces", "link up, MTU 9000"));
  EXPECT_TRUE(said("show interface netmap-e1", " up "));
  device.note_link(9000, false);
  EXPECT_TRUE(said("show hardware-interfaces", "link down, MTU 9000"));
  EXPECT_TRUE(said("show interface netmap-e1", " no link "));
  EXPECT_TRUE(router.vnet().interfaces()[1].is_up());
}

TEST(Ports, receive_mode_is_set_told_and_kept) {
  const auto loop = MUST(host::RealLoop::make());  // Descriptors are left.
  PairPorts ports(*loop);
  Router router({}, *loop, ports);
  CommandLine line(router);
  MUST(line.set("create netmap name e1"));
  MUST(line.set("create loopback interface instance 0"));
  auto& device = dynamic_cast<PairDevice&>(*router.ports()[0]->device);
  EXPECT_EQ(device.rx_mode(), host::RxMode::Adaptive);
  const std::string saved = to_text(line.configuration());
  MUST(line.set("set interface rx-mode netmap-e1 polling"));
  EXPECT_EQ(device.rx_mode(), host::RxMode::Polling);
  EXPECT_NE(MUST(line.run("show hardware-interfaces")).text().find("rx mode polling"),
            std::string::npos);
  const std::string polling = to_text(line.configuration());
  EXPECT_NE(polling.find("set interface rx-mode netmap-e1 polling\n"), std::string::npos);
  MUST(apply_configuration(line, MUST(try_configuration(router, saved, "saved"))));
  EXPECT_EQ(device.rx_mode(), host::RxMode::Adaptive);
  MUST(line.set("set interface rx-mode netmap-e1 interrupt"));
  EXPECT_EQ(device.rx_mode(), host::RxMode::Interrupt);
  EXPECT_EQ(line.set("set interface rx-mode loop0 polling").error().text,
            "interface loop0: no port, and so receives by another's mode");
}

TEST(Ports, one_whose_linux_interface_went_stays_down_until_it_is_opened_again) {
  const auto loop = MUST(host::RealLoop::make());  // Descriptors are left.
  PairPorts ports(*loop);
  Router router({}, *loop, ports);
  CommandLine line(router);
  for (const char* text : {"create netmap name e1", "set interface state netmap-e1 up",
                           "set interface ip address netmap-e1 10.1.0.1/24",
                           "ip route add 10.9.0.0/16 via 10.1.0.9 netmap-e1"}) {
    MUST(line.set(text));
  }
  const std::string saved = to_text(line.configuration());
  ports.ends.clear();
  for (int round = 0; round < 1000 && router.ports()[0]->is_open(); ++round) loop->run_for(2ms);
  ASSERT_FALSE(router.ports()[0]->is_open());
  EXPECT_EQ(to_text(line.configuration()), saved);  // What was set is set still.
  const auto refused = line.set("set interface state netmap-e1 up");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text,
            "interface netmap-e1: its Linux interface e1 is gone; delete it and create it again");
  EXPECT_FALSE(router.vnet().interfaces()[1].is_up());
  EXPECT_NE(MUST(line.run("show hardware-interfaces")).text().find("gone"), std::string::npos);
  // Not there yet: nothing is changed, and nothing lost.
  ports.is_absent = true;
  EXPECT_FALSE(try_configuration(router, saved, "saved"));
  ports.is_absent = false;
  const auto target = try_configuration(router, saved, "saved");
  ASSERT_TRUE(target) << target.error().text;
  ports.is_absent = true;
  EXPECT_FALSE(apply_configuration(line, *target));
  ports.is_absent = false;
  if (!router.ports().empty()) {
    EXPECT_EQ(format(difference(line.configuration(), *target)),
              "- create netmap name e1\n+ create netmap name e1\n");
  }
  const auto applied = apply_configuration(line, *target);
  ASSERT_TRUE(applied) << applied.error().text;
  EXPECT_TRUE(router.ports()[0]->is_open());
  EXPECT_EQ(to_text(line.configuration()), saved);
  EXPECT_TRUE(difference(line.configuration(), *target).is_empty());
}

// A check on paper refuses what Linux would.
TEST(Ports, name_that_linux_does_not_take_is_refused_before_it_is_tried) {
  VirtualLoop loop;
  PaperPorts ports(loop);
  Router router({}, loop, ports);
  const auto say = [&](const std::string& name) {
    const auto tried = try_configuration(router, "create tap id 9 host-if-name " + name, "f");
    return tried ? "sound" : tried.error().text;
  };
  EXPECT_EQ(say("waytoolonginterfacename"),
            "f:1: TAP device 'waytoolonginterfacename': accepted: a name of 1 to 15 characters "
            "without / : % and space");
  for (const char* name : {"a/b", "..", "tap%d", "a:1", "\"a b\""}) {
    EXPECT_NE(say(name).find("accepted: a name"), std::string::npos) << name;
  }
  EXPECT_EQ(say("abcdefghijklmno"), "sound");
  EXPECT_EQ(say("x\ncreate tap id 1 host-if-name x"), "f:2: TAP device 'x': interface tap9 has it");
}

// Nor what another interface is called.
TEST(Ports, tap_does_not_get_another_interfaces_name) {
  const auto loop = MUST(host::RealLoop::make());
  HostPorts ports(*loop);
  const auto taken = ports.describe({.kind = PortSpec::Kind::Tap, .link = "lo"});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().text, "TAP device 'lo': another interface has this name");
  EXPECT_TRUE(ports.describe({.kind = PortSpec::Kind::Tap, .link = "wh-nonesuch"}));
}

}  // namespace
}  // namespace wh::router
