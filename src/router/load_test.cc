// Packets that pass between the steps of a load: none that the filters of before and after would
// stop, however much changes.
#include "router/test_lab.h"

namespace wh::router {
namespace {

class Loading : public RouterLab {
 protected:
  // More lines than are set in one step.
  static std::string many(uint32_t network, std::string_view via = "10.2.0.2") {
    std::string text;
    for (uint32_t i = 0; i < 300; ++i) {
      text += fmt::format("ip route add {}.{}.{}.0/24 via {}\n", network, i / 256, i % 256, via);
      if (i < 100)
        text += fmt::format("create loopback interface instance {}\n", network * 100 + i);
    }
    return text;
  }
  // `a` sends a datagram to `b` between any two steps; whom they came from.
  std::set<std::string> load_while_sending(const std::string& text) {
    std::set<std::string> sources;
    auto server = MUST(b.open_udp(
        {.port = 9}, [&](const vnet::UdpDatagram& d) { sources.insert(to_string(d.source)); }));
    MUST(a.add_neighbour(1, vnet::ip("10.1.0.1"), ports.cables["e0"]->a().mac()));
    auto client = MUST(a.open_udp({}, [](const vnet::UdpDatagram&) {}));
    const auto target = try_configuration(router, text, "new.conf");
    EXPECT_TRUE(target) << target.error().text;
    ConfigurationDifference changes;
    Result<void> result;
    Steps steps = apply_configuration(line, *target, {}, changes, result);
    int turns = 0;
    do {
      (void)client->send(vnet::ip("10.2.0.2"), 9, vnet::Octets(20));
      loop.run_for(1ms);
      ++turns;
    } while (steps.next());
    EXPECT_TRUE(result) << result.error().text;
    EXPECT_GT(turns, 20);
    EXPECT_TRUE(difference(line.configuration(), *target).is_empty());
    return sources;
  }
  using Sources = std::set<std::string>;
};

TEST_F(Loading, lists_deny_throughout_what_old_and_new_deny) {
  up();
  EXPECT_EQ(load_while_sending(now() + many(20)), Sources{"10.1.0.2"});
  set(R"(set acl-plugin acl index 0 deny proto udp, permit
         set acl-plugin interface host-e0 input acl 0)");
  std::string text = now();
  const size_t at = text.find("set acl-plugin acl");
  text.replace(at, text.find("set acl-plugin interface") - at,
               "set acl-plugin acl index 0 permit\nset acl-plugin acl index 1 deny\n");
  text.replace(text.find("input acl 0"), 11, "input acl 1 acl 0");
  text.erase(text.find("ip route add 20."), text.find("set acl") - text.find("ip route add 20."));
  EXPECT_EQ(load_while_sending(text + many(30)), Sources{});
}

TEST_F(Loading, tunables_that_bound_each_other_load_again) {
  for (const char* text : {"set sysctl net.inet.tcp.hpts.dyn_minsleep 60\n"
                           "set sysctl net.inet.tcp.hpts.dyn_maxsleep 100",
                           "set sysctl net.inet.tcp.hpts.dyn_maxsleep 9000\n"
                           "set sysctl net.inet.tcp.hpts.dyn_minsleep 8000\n"
                           "set sysctl net.inet.tcp.hpts.max_sleep 900"}) {
    set(text);
    expect_lasting();
    EXPECT_EQ(load(""), "applied");
  }
}

// Workers pass packets between one thing that they are told and the next.
TEST_F(Loading, workers_are_told_of_filters_together) {
  up();
  set(R"(set acl-plugin acl index 0 deny
         set acl-plugin interface host-e0 input acl 0)");
  std::string text = now();
  text.replace(text.find("input acl 0"), 11, "input acl 1");
  text.insert(text.find("set acl-plugin acl index 0"), "set acl-plugin acl index 1 deny\n");
  std::vector<size_t> told;
  line.on_done([&](std::span<const Grammar::Match> all) -> Result<void> {
    told.push_back(all.size());
    return {};
  });
  EXPECT_EQ(load(text), "applied");
  line.on_done({});
  EXPECT_EQ(told, std::vector<size_t>{3}) << "a list, and what is bound before and after";
}

// An interface that is made anew has its lists before it is up.
TEST_F(Loading, interface_is_not_up_before_its_lists_are_there) {
  up();
  set(R"(set acl-plugin acl index 0 deny
         set acl-plugin interface host-e0 input acl 0)");
  std::string text = now();
  text.replace(text.find("name e0"), 7, "name e0 hw-addr 02:00:00:00:00:10");
  EXPECT_EQ(load_while_sending(text + many(20, "10.1.0.2")), Sources{});
  // Nor is a new way there before the lists that judge who takes it.
  const std::string with_lists = now();
  EXPECT_EQ(load("create host-interface name e0 hw-addr 02:00:00:00:00:10\nset interface state "
                 "host-e0 up\n"
                 "set interface ip address host-e0 10.1.0.1/24\n"),
            "applied");
  EXPECT_EQ(load_while_sending(with_lists), Sources{});
}

TEST_F(Loading, leaving_a_bridge_domain_is_being_filtered) {
  set(R"(create host-interface name e0
         create host-interface name e1
         set interface state host-e0 up
         set interface state host-e1 up
         create bridge-domain 1
         set interface l2 bridge host-e0 1
         set interface ip address host-e1 10.2.0.1/24)");
  const std::string bridged = now() + many(20);
  const std::string routed =
      "create host-interface name e0\ncreate host-interface name e1\n"
      "set interface state host-e0 up\nset interface state host-e1 up\n"
      "set acl-plugin acl index 0 deny\nset acl-plugin interface host-e0 input acl 0\n"
      "set interface ip address host-e0 10.1.0.1/24\n"
      "set interface ip address host-e1 10.2.0.1/24\n" +
      many(30);
  EXPECT_EQ(load_while_sending(routed), Sources{});
  EXPECT_EQ(load_while_sending(bridged), Sources{});
}

TEST_F(Loading, no_inside_address_is_seen_outside) {
  up();
  set(R"(set interface nat44 in host-e0
         set interface nat44 out host-e1
         nat44 add address 10.2.0.7)");
  set(many(20));
  const std::string plain = now();
  std::string text = plain;
  text.replace(text.find("10.2.0.7"), 8, "10.2.0.8");
  text.replace(text.find("name e1"), 7, "name e1 hw-addr 02:00:00:00:00:11");
  text.erase(text.find("ip route add 20."), text.find("set interface nat") - text.find("ip route"));
  EXPECT_EQ(load_while_sending(text + many(30)).count("10.1.0.2"), 0u);
  EXPECT_EQ(load_while_sending(plain).count("10.1.0.2"), 0u);
}

}  // namespace
}  // namespace wh::router
