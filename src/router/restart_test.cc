// A router that loads a configuration, and one that starts with it: what they come to is the same.
#include <gtest/gtest.h>

#include "core/random.h"
#include "core/virtual_loop.h"
#include "router/configuration.h"

namespace wh::router {
namespace {

// Any Linux interface there is, on paper.
class AnyPorts final : public Ports {
 public:
  explicit AnyPorts(Loop& loop) : plain_(loop), paper_(loop, plain_) {}
  Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec,
                                               net::PacketPool& pool) override {
    return paper_.open(spec, pool);
  }
  Result<net::Interface::Config> describe(const PortSpec& spec) override {
    return plain_.describe(spec);
  }

 private:
  PaperPorts plain_, paper_;
};

class Restart : public testing::Test {
 protected:
  VirtualLoop loop_;
  AnyPorts plain_{loop_};
  Router router_{{}, loop_, plain_};
  CommandLine line_{router_};
};

// However it came there, a router is as one that starts with the same lines: its interfaces' first
// addresses, link-local ones, the addresses of NAT44.
TEST_F(Restart, loading_comes_to_the_same_as_starting) {
  const std::vector<std::string> some = {"set interface ip address netmap-e0 10.1.0.1/24",
                                         "set interface ip address netmap-e0 10.1.0.2/24",
                                         "set interface ip address netmap-e0 10.3.0.1/24",
                                         "set interface ip address netmap-e0 2001:db8::1/64",
                                         "set interface ip address netmap-e0 2001:db8::2/64",
                                         "set interface ip address netmap-e0 fe80::5/64",
                                         "set interface ip address netmap-e0 fe80::6/64",
                                         "set interface ip address netmap-e1 10.2.0.1/24",
                                         "nat44 add address 192.0.2.1",
                                         "nat44 add address 192.0.2.2",
                                         "nat44 add address 192.0.2.3",
                                         "nat44 add interface address netmap-e0",
                                         "nat44 add interface address netmap-e1"};
  const auto state = [](Router& router) {
    std::string all;
    for (uint16_t i = 1; i < router.vnet().interfaces().size(); ++i) {
      const vnet::InterfaceEntry& entry = router.vnet().interfaces()[i];
      for (const char* to : {"10.1.0.9", "203.0.113.1", "2001:db8::9", "fe80::9"}) {
        const net::IpAddress* source = entry.source_for(*net::parse_ip(to));
        all += source != nullptr ? to_string(*source) + " " : "none ";
      }
    }
    for (const net::Ip4 a : router.vnet().nat44().pool()) all += to_string(a) + " ";
    return all;
  };
  Random random(1);
  for (int round = 0; round < 4; ++round) {
    std::vector<std::string> lines = some;
    for (size_t i = lines.size(); i > 1; --i) std::swap(lines[i - 1], lines[random.below(i)]);
    lines.resize(random.below(lines.size() + 1));
    std::string text = "create netmap name e0\ncreate netmap name e1\n";
    for (const std::string& one : lines) text += one + "\n";
    SCOPED_TRACE(text);
    const auto target = try_configuration(router_, text, "new.conf");
    ASSERT_TRUE(target) << target.error().text;
    const auto done = apply_configuration(line_, *target);
    ASSERT_TRUE(done) << done.error().text;
    PaperPorts ports(loop_, plain_);
    Router fresh({}, loop_, ports);
    CommandLine line(fresh);
    for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      ASSERT_TRUE(line.set(text.substr(at, text.find('\n', at) - at)));
    }
    EXPECT_EQ(state(router_), state(fresh));
    EXPECT_TRUE(difference(line_.configuration(), line.configuration()).is_empty());
    // And by hand from there.
    const std::string& other = some[random.below(some.size())];
    (void)line_.set(other);
    (void)line_.set("set interface ip address del netmap-e0 2001:db8::1/64");
    (void)line_.set("set interface ip address del netmap-e0 fe80::5/64");
  }
}

TEST_F(Restart, pool_of_nat_in_another_order_is_a_difference) {
  for (const char* one : {"192.0.2.1", "192.0.2.2"}) {
    MUST(line_.set(fmt::format("nat44 add address {}", one)));
  }
  const auto target =
      try_configuration(router_, "nat44 add address 192.0.2.2\nnat44 add address 192.0.2.1", "t");
  ASSERT_TRUE(target);
  EXPECT_EQ(format(difference(line_.configuration(), *target)),
            "- nat44 add address 192.0.2.1\n- nat44 add address 192.0.2.2\n"
            "+ nat44 add address 192.0.2.2\n+ nat44 add address 192.0.2.1\n");
}

}  // namespace
}  // namespace wh::router
