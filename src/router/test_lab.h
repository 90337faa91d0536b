// A router between two hosts in virtual time, set by nothing but lines of text.
//
//   a (10.1.0.2, 2001:db8:1::2) --- host-e0 router host-e1 --- b (10.2.0.2, 2001:db8:2::2)
//
// The hosts know no more than a default route to 10.N.0.1 and 2001:db8:N::1. The router begins with
// nothing; `up()` gives it both ports and these addresses.
#pragma once

#include <gtest/gtest.h>

#include "router/configuration.h"
#include "vnet/test_support.h"

namespace wh::router {

// One end of a cable as a port of a router, which owns its ports.
class CableEnd final : public net::Interface, private net::FrameSink {
 public:
  CableEnd(Config config, Loop& loop, net::Interface& end)
      : Interface(std::move(config), loop), end_(end) {
    end_.attach(this);
  }
  ~CableEnd() override { end_.attach(nullptr); }

 private:
  void send(net::Frame&& frame) override { end_.transmit(std::move(frame)); }
  void accept(net::Frame&& frame) override { receive(std::move(frame)); }
  net::Interface& end_;
};

// Linux interfaces e0, e1, .. are cables; any other there is not.
class CablePorts final : public Ports {
 public:
  explicit CablePorts(Loop& loop) : loop_(loop) {}
  Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec, net::PacketPool&) override {
    return std::make_unique<CableEnd>(TRY(describe(spec)), loop_, cables.at(spec.link)->a());
  }
  Result<net::Interface::Config> describe(const PortSpec& spec) override {
    const auto cable = cables.find(spec.link);
    if (cable == cables.end()) return fail("no interface {}", spec.link);
    return net::Interface::Config{.name = spec.name(), .mac = cable->second->a().mac()};
  }
  std::map<std::string, std::unique_ptr<net::Cable>> cables;

 private:
  Loop& loop_;
};

class RouterLab : public testing::Test, protected vnet::World {
 protected:
  RouterLab() {
    for (uint32_t i = 0; i < 2; ++i) {
      auto config = [&](const char* name, uint32_t number) {
        return net::Interface::Config{
            .name = name, .mac = net::MacAddress::local(number), .mtu = 65535};
      };
      auto cable = std::make_unique<net::Cable>(config("near", 0x10 + i),
                                                vnet::port("eth0", 0x20 + i), loop);
      vnet::Vnet& host = *hosts[i];
      MUST(host.sysctl().set("net.inet6.ip6.dad_count", "0"));
      MUST(host.attach(cable->b()));  // An empty vnet; its interface is 1.
      const std::string n = std::to_string(i + 1);
      MUST(host.add_address(1, vnet::prefix("10." + n + ".0.2/24")));
      MUST(host.add_address(1, vnet::prefix("2001:db8:" + n + "::2/64")));
      MUST(host.add_route(vnet::prefix("0.0.0.0/0"), vnet::ip("10." + n + ".0.1")));
      MUST(host.add_route(vnet::prefix("::/0"), vnet::ip("2001:db8:" + n + "::1")));
      ports.cables["e" + std::to_string(i)] = std::move(cable);
    }
  }
  ~RouterLab() override {
    // Says its last words while somebody can take them.
    for (const auto& port : router.ports()) MUST(router.vnet().set_up(port->index, false));
    for (auto* host : hosts) MUST(host->detach(1));
    loop.run_for(1s);  // No packet of the router's is on a cable when it goes.
  }

  void up() {
    set(R"(create host-interface name e0
           create host-interface name e1
           set interface state host-e0 up
           set interface state host-e1 up
           set interface ip address host-e0 10.1.0.1/24
           set interface ip address host-e1 10.2.0.1/24
           set interface ip address host-e0 2001:db8:1::1/64
           set interface ip address host-e1 2001:db8:2::1/64)");
    loop.run_for(5s);
  }
  void set(std::string_view text) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      const auto done = line.set(text.substr(0, end));
      EXPECT_TRUE(done) << text.substr(0, end) << ": " << done.error().text;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  // What a command says, or why it is refused.
  std::string say(std::string_view command) {
    const auto answer = line.run(command);
    return answer ? answer->text() : answer.error().text;
  }
  nlohmann::json data(std::string_view command) {
    const auto answer = line.run(command);
    EXPECT_TRUE(answer) << command << ": " << answer.error().text;
    return answer ? answer->data() : nlohmann::json();
  }
  std::string now() { return to_text(line.configuration()); }
  std::string load(std::string_view text) {
    const auto target = try_configuration(router, text, "new.conf");
    if (!target) return target.error().text;
    const auto done = apply_configuration(line, *target);
    return done ? "applied" : done.error().text;
  }
  // How many of `count` echo requests are answered.
  uint64_t pings(vnet::Vnet& from, std::string_view to, uint64_t count = 2) {
    return ping(from, to, {.count = count}).received;
  }
  // That what is set now can be saved, loaded into an empty router, taken back, and set once more.
  void expect_lasting() {
    const std::string saved = now();
    const auto target = try_configuration(router, saved, "saved");
    ASSERT_TRUE(target) << target.error().text << "\n" << saved;
    EXPECT_EQ(to_text(*target), saved);
    EXPECT_EQ(load(""), "applied");
    EXPECT_EQ(now(), "");
    EXPECT_EQ(load(saved), "applied");
    EXPECT_EQ(now(), saved);
    loop.run_for(5s);
  }
  // That each of these lines is refused, and changes nothing.
  void expect_refused(std::initializer_list<std::pair<const char*, const char*>> lines) {
    const std::string before = now();
    for (const auto& [text, reason] : lines) {
      const auto done = line.set(text);
      ASSERT_FALSE(done) << text;
      EXPECT_NE(done.error().text.find(reason), std::string::npos) << text << "\n"
                                                                   << done.error().text;
      EXPECT_EQ(now(), before) << text;
    }
  }

  vnet::Vnet a{{.name = "a"}, loop, pool, random.fork("a")};
  vnet::Vnet b{{.name = "b"}, loop, pool, random.fork("b")};
  vnet::Vnet* hosts[2] = {&a, &b};
  CablePorts ports{loop};
  Router router{{}, loop, ports};
  CommandLine line{router};
};

}  // namespace wh::router
