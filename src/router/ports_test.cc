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
    TRY_VOID(device->begin());
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

TEST(Ports, one_whose_linux_interface_went_stays_down_until_it_is_opened_again) {
  const auto loop = MUST(host::RealLoop::make());  // Descriptors are left.
  PairPorts ports(*loop);
  Router router({}, *loop, ports);
  CommandLine line(router);
  for (const char* text : {"create netmap name e1", "set interface state netmap-e1 up",
                           "set interface ip address netmap-e1 10.1.0.1/24",
                           "ip route add 10.9.0.0/16 via 10.1.0.9 netmap-e1"}) {
    MUST_VOID(line.set(text));
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

}  // namespace
}  // namespace wh::router
