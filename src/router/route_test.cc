// Routes, tables, neighbours and source checks, by lines of text.
#include "router/test_lab.h"

#include "host/output_file.h"
#include "vnet/route_file.h"

namespace wh::router {
namespace {

using nlohmann::json;

class RouteLines : public RouterLab {};

TEST_F(RouteLines, next_hops_add_up_leave_singly_and_have_weights) {
  up();
  set(R"(ip route add 10.9.0.0/16 via 10.2.0.2
         ip route add 10.9.0.0/16 via 10.1.0.2 host-e0 weight 3
         ip route add 2001:db8:9::/48 via 2001:db8:2::2 via 2001:db8:1::2
         ip route add 198.51.100.0/24 via host-e1
         ip route add 203.0.113.0/24 via drop)");
  EXPECT_NE(now().find("ip route add 10.9.0.0/16 via 10.2.0.2 via 10.1.0.2 host-e0 weight 3\n"),
            std::string::npos)
      << now();
  const json rows = data("show ip fib 10.9.1.1");
  ASSERT_EQ(rows[0]["ways"].size(), 2u);
  EXPECT_EQ(rows[0]["table"], 0);
  EXPECT_NE(say("show ip6 fib 2001:db8:9::1").find("(32 of 64 flows)"), std::string::npos);
  expect_lasting();
  set("ip route del 10.9.0.0/16 via 10.2.0.2");
  EXPECT_NE(now().find("10.9.0.0/16 via 10.1.0.2 host-e0 weight 3\n"), std::string::npos) << now();
  set("ip route del 10.9.0.0/16 via 10.1.0.2");
  EXPECT_EQ(now().find("10.9.0.0/16"), std::string::npos) << now();
  EXPECT_EQ(say("ip route del 2001:db8:9::/48 via 2001:db8:2::7"),
            "no route 2001:db8:9::/48 via 2001:db8:2::7");
}

// Both hosts have an address that only routes lead to.
TEST_F(RouteLines, flows_are_spread_and_a_next_hop_may_be_routed_to) {
  up();
  MUST(b.add_address(1, vnet::prefix("192.0.2.1/32")));
  MUST(b.add_address(1, vnet::prefix("2001:db8:c::1/128")));
  set(R"(ip route add 198.18.0.0/16 via 10.2.0.2
         ip route add 192.0.2.0/24 via 198.18.0.1
         ip route add 2001:db8:d::/48 via 2001:db8:2::2
         ip route add 2001:db8:c::/48 via 2001:db8:d::1)");
  EXPECT_EQ(pings(a, "192.0.2.1"), 2u);
  EXPECT_EQ(pings(a, "2001:db8:c::1"), 2u);
  // The path is told to its end, however many routes lead to it.
  set("ip route add 203.0.113.0/24 via 192.0.2.1");
  const std::string path = say("show ip fib 203.0.113.1");
  EXPECT_NE(path.find("    [0] [@12]: ipv4 load-balance: via 198.18.0.1 weight 1 (64 of 64 flows)\n"
                      "          [0] [@5]: ipv4 via 10.2.0.2 host-e1: mtu:1500"),
            std::string::npos)
      << path;
  const json row = data("show ip fib 203.0.113.1")[0];
  EXPECT_EQ(row["ways"][0]["ways"][0]["buckets"], 64);
  set("ip route del 203.0.113.0/24");
  // Saved in an order in which it can be set, though 192.0.2 comes before 198.18.
  EXPECT_LT(now().find("198.18.0.0/16"), now().find("192.0.2.0/24"));
  expect_lasting();
  EXPECT_EQ(pings(a, "192.0.2.1"), 2u);
  EXPECT_EQ(pings(a, "2001:db8:c::1"), 2u);
}

TEST_F(RouteLines, next_hop_that_nothing_leads_to_may_be_given_and_waits) {
  up();
  MUST(b.add_address(1, vnet::prefix("10.60.0.9/24")));
  MUST(b.add_address(1, vnet::prefix("192.0.2.1/32")));
  EXPECT_EQ(say("ip route add 192.0.2.0/24 via 10.60.0.9"),
            "route 192.0.2.0/24 via 10.60.0.9: the next hop is on no connected prefix; `unreached` "
            "behind it lets it wait for one");
  set("ip route add 192.0.2.0/24 via 10.60.0.9 unreached");
  EXPECT_EQ(pings(a, "192.0.2.1"), 0u);
  expect_lasting();
  set("set interface ip address host-e1 10.60.0.1/24");
  EXPECT_EQ(pings(a, "192.0.2.1"), 2u);
  EXPECT_NE(now().find("192.0.2.0/24 via 10.60.0.9 unreached\n"), std::string::npos) << now();
  expect_lasting();  // As it was asked for, whatever leads to it now.
  // It says so, too, when what led to it has gone, and so can be loaded.
  set(R"(ip route add 198.18.0.0/16 via 10.1.0.2
         ip route add 203.0.113.0/24 via 198.18.0.1
         delete host-interface name e0)");
  EXPECT_NE(now().find("ip route add 203.0.113.0/24 via 198.18.0.1 unreached\n"), std::string::npos)
      << now();
  set("set interface ip address del host-e1 10.60.0.1/24");
  expect_lasting();
}

// What leads to a next hop may itself wait for another, or for the very same.
TEST_F(RouteLines, routes_that_lead_to_each_other_can_be_saved_and_loaded) {
  for (const char* text : {"ip route add 172.16.0.0/24 via 10.0.0.4 unreached\n"
                           "ip route add 10.0.0.0/8 via 172.16.0.1 unreached",
                           "ip route add 172.16.1.0/24 via 172.16.1.1 unreached\n"
                           "ip route add 0.0.0.0/0 via 172.16.1.1",
                           "ip route add 10.0.0.0/8 via 10.1.0.9\n"
                           "ip route add 172.16.0.0/12 via 10.0.0.1\n"
                           "ip route add 10.0.0.0/8 via 172.16.0.1\n"
                           "ip route del 10.0.0.0/8 via 10.1.0.9"}) {
    SCOPED_TRACE(text);
    up();
    set(text);
    expect_lasting();
    EXPECT_EQ(load(""), "applied");
  }
}

TEST_F(RouteLines, next_hop_is_found_on_a_link_that_a_route_says_it_is_on) {
  up();
  set("create loopback interface\nset interface state loop0 up");
  const std::string before = now();
  const std::string link = "ip route add 10.0.0.0/8 via loop0\n";
  const std::string waiting = "ip route add 0.0.0.0/0 via 10.0.0.3 unreached\n";
  for (const std::string& text : {link + waiting, waiting + link}) {
    set(text);
    EXPECT_NE(now().find(waiting + link), std::string::npos) << now();
    EXPECT_NE(say("show ip fib 192.0.2.1").find("10.0.0.3 loop0"), std::string::npos);
    expect_lasting();
    EXPECT_NE(say("show ip fib 192.0.2.1").find("10.0.0.3 loop0"), std::string::npos)
        << say("show ip fib 192.0.2.1");
    EXPECT_EQ(load(before), "applied");
  }
}

// Whichever comes first, the next hop goes where the routes lead, as after a restart.
TEST_F(RouteLines, next_hop_follows_better_routes_that_come_and_go) {
  up();
  set("create loopback interface\nset interface state loop0 up\n"
      "set interface ip address host-e0 10.64.0.1/10\n"
      "ip route add 192.0.2.0/24 via 10.65.0.9\n"
      "ip route add 198.51.100.0/24 via 10.65.0.9 via 10.2.0.2\n"
      "ip route add 203.0.113.0/24 via 10.65.0.9 weight 2");
  // Each route's way, as the running router has it and as a new one that loads what was saved.
  const auto ways = [&] {
    std::string all;
    for (const char* to : {"192.0.2.1", "198.51.100.1", "203.0.113.1", "10.65.0.9"}) {
      const std::string said = say(fmt::format("show ip fib {}", to));
      all += said.find("loop0") != std::string::npos      ? "loop "
             : said.find("10.1.0.2") != std::string::npos ? "routed "
             : said.find("host-e0") != std::string::npos  ? "e0 "
                                                          : "none ";
    }
    return all;
  };
  const auto expect_ways = [&](const std::string& wanted) {
    EXPECT_EQ(ways(), wanted);
    expect_lasting();
    EXPECT_EQ(ways(), wanted) << now();
  };
  pings(a, "192.0.2.1");  // A packet waits for the next hop, and one for it as a destination.
  pings(a, "10.65.0.9");
  expect_ways("e0 e0 e0 e0 ");
  set("ip route add 10.65.0.0/16 via loop0");
  expect_ways("loop loop loop loop ");
  set("ip route add 10.65.0.9/32 via 10.1.0.2");
  expect_ways("routed routed routed routed ");
  set("ip route del 10.65.0.9/32");
  expect_ways("loop loop loop loop ");
  pings(a, "10.65.0.9");
  set("ip route del 10.65.0.0/16");
  expect_ways("e0 e0 e0 e0 ");
  set("ip route add 10.65.0.0/16 via 10.1.0.2");
  expect_ways("routed routed routed routed ");
  // What a file of routes brings is no different.
  set("ip route del 10.65.0.0/16");
  EXPECT_EQ(MUST(vnet::add_routes(router.vnet(), "10.65.0.0/16 via 10.1.0.2")), 1u);
  expect_ways("routed routed routed routed ");
  // Without any route to say so it stays where it was.
  set("ip route del 10.65.0.0/16\nset interface ip address del host-e0 10.64.0.1/10");
  EXPECT_NE(now().find("192.0.2.0/24 via 10.65.0.9 host-e0\n"), std::string::npos) << now();
  expect_lasting();
  for (const char* to : {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}) {
    set(fmt::format("ip route del {}", to));
  }
  EXPECT_EQ(router.vnet().stack().paths.size(), 0u);
}

TEST_F(RouteLines, tables_keep_interfaces_apart) {
  up();
  set("ip table add 7\nip6 table add 7");
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  EXPECT_NE(say("set interface ip table host-e1 7").find("has address 10.2.0.1"),
            std::string::npos);
  set(R"(set interface ip address del host-e1 10.2.0.1/24
         set interface ip address del host-e1 2001:db8:2::1/64
         set interface ip table host-e1 7
         set interface ip address host-e1 10.2.0.1/24
         set interface ip address host-e1 2001:db8:2::1/64
         ip route add 0.0.0.0/0 table 7 via 10.2.0.2
         ip route add ::/0 via 2001:db8:2::2 table 7)");
  loop.run_for(5s);
  EXPECT_EQ(pings(a, "10.2.0.2"), 0u);
  EXPECT_EQ(pings(a, "2001:db8:2::2"), 0u);
  EXPECT_EQ(pings(b, "10.2.0.1"), 2u);
  EXPECT_EQ(data("show ip table")[1]["interfaces"], json{"host-e1"});
  EXPECT_NE(say("show ip fib table 7").find("ipv4-VRF:7"), std::string::npos);
  EXPECT_EQ(data("show ip6 fib table 7 2001:db8:77::1")[0]["prefix"], "::/0");
  expect_lasting();
  EXPECT_EQ(pings(b, "10.2.0.1"), 2u);
  // From one table to another, though addresses stand in the way.
  std::string text;
  for (const ConfigurationLine& l : line.configuration()) {
    const bool is_of_table = l.line.find("table host-e1 7") != std::string::npos ||
                             l.line.find("table 7 via") != std::string::npos;
    if (!is_of_table) text += l.line + "\n";
  }
  EXPECT_EQ(load(text), "applied");
  loop.run_for(5s);
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  expect_refused({{"ip table add 0", "'0' is not a number from 1"},
                  {"ip table del 9", "no table '9'; there are: 0, 7"},
                  {"ip table del 0", "VRF 0 is the default"},
                  {"set interface ip table host-e9 7", "no interface 'host-e9'"},
                  {"set interface ip table host-e0 8", "no table '8'"}});
}

TEST_F(RouteLines, sources_without_a_way_back_are_dropped) {
  up();
  MUST(a.add_address(1, vnet::prefix("10.7.0.1/32")));
  MUST(a.add_address(1, vnet::prefix("2001:db8:7::1/128")));
  auto received = [&](const char* from, const char* to) {
    return ping(a, to, {.source = vnet::ip(from), .count = 1}).sent;
  };
  set(R"(set interface ip source-check host-e0
         set interface ip6 source-check host-e0 strict)");
  const uint64_t silent = b.interfaces()[1].ip4;
  received("10.7.0.1", "10.2.0.2");
  received("2001:db8:7::1", "2001:db8:2::2");
  EXPECT_EQ(b.interfaces()[1].ip4, silent);
  EXPECT_NE(say("show errors").find("ip6-source-check"), std::string::npos);
  EXPECT_EQ(pings(a, "10.2.0.2"), 2u);
  EXPECT_EQ(pings(a, "2001:db8:2::2"), 2u);
  set(R"(ip route add 10.7.0.0/16 via 10.2.0.2
         ip route add 2001:db8:7::/48 via 2001:db8:2::2)");
  const uint64_t before = b.interfaces()[1].ip4;
  received("10.7.0.1", "10.2.0.2");
  EXPECT_EQ(b.interfaces()[1].ip4, before) << "not by the interface it came by";
  set("set interface ip source-check host-e0 loose");
  received("10.7.0.1", "10.2.0.2");
  EXPECT_GT(b.interfaces()[1].ip4, before);
  EXPECT_EQ(data("show ip source-check")[0],
            (json{{"interface", "host-e0"}, {"ip4", "loose"}, {"ip6", "strict"}}));
  expect_lasting();
  set("set interface ip source-check host-e0 del");
  EXPECT_EQ(now().find("interface ip source-check"), std::string::npos);
  expect_refused({{"set interface ip source-check host-e0 tight", "unknown input 'tight'"},
                  {"set interface ip6 source-check host-e9", "no interface 'host-e9'"}});
}

TEST_F(RouteLines, neighbours_are_given_by_hand) {
  up();
  set(R"(set ip neighbor host-e0 10.1.0.77 02:00:00:00:00:77 static
         set ip neighbor host-e0 2001:db8:1::77 02:00:00:00:00:77)");
  EXPECT_EQ(data("show ip neighbors")[0]["static"], true);
  EXPECT_NE(say("show ip6 neighbors").find("02:00:00:00:00:77"), std::string::npos);
  expect_lasting();
  expect_refused({{"set ip neighbor host-e0 10.1.0.1 02:00:00:00:00:77", "that is this host"},
                  {"set ip neighbor host-e0 10.1.0.5 02:00:00:00:00", "not a MAC address"},
                  {"set ip neighbor host-e0 10.1.0 02:00:00:00:00:77", "'10.1.0'"}});
}

TEST_F(RouteLines, refuses_wrong_words_and_keeps_what_was) {
  up();
  set("ip route add 10.9.0.0/16 via 10.2.0.2");
  expect_refused(
      {{"ip route add 10.9.0.0/33 via 10.2.0.2", "'10.9.0.0/33'"},
       {"ip route add 10.9.0.0/16 over 10.2.0.2",
        "unknown input 'over'; accepted: drop, table, via"},
       {"ip route add 10.9.0.0/16 via host-e7", "unknown input 'host-e7'"},
       {"ip route add 10.9.0.0/16 via 10.3.0.2", "the next hop is on no connected prefix"},
       {"ip route add 10.9.0.0/16 via 2001:db8:1::2", "two families"},
       {"ip route add 10.9.0.0/16 via 10.2.0.9 weight 0", "'0' is not a number from 1 to 255"},
       {"ip route add 10.9.0.0/16 via 10.2.0.9 via 10.3.0.2", "no connected prefix"},
       {"ip route add 10.9.0.0/16 table 5 via 10.2.0.2", "no table '5'"},
       {"ip route add 10.9.0.0/16", "the line ends too early"},
       {"ip route del 10.9.0.0/16 via drop", "no route 10.9.0.0/16 via drop"},
       {"ip route del 10.8.0.0/16", "no static route 10.8.0.0/16"}});
}

TEST_F(RouteLines, json_spells_lists_as_arrays) {
  up();
  auto call = [&](const char* method, const json& params) {
    std::string text;
    auto activity = line.execute(
        method, params,
        {[](std::string_view) {}, [&](Result<Answer> r) { text = r ? "ok" : r.error().text; }});
    EXPECT_EQ(activity, nullptr);
    return text;
  };
  EXPECT_EQ(call("ip route add", {{"prefix", "10.9.0.0/16"},
                                  {"paths", json::array({{{"via", "10.1.0.2"}, {"weight", 2}},
                                                         {{"interface", "host-e1"}}})}}),
            "ok");
  EXPECT_NE(now().find("ip route add 10.9.0.0/16 via 10.1.0.2 weight 2 via host-e1\n"),
            std::string::npos)
      << now();
  EXPECT_EQ(call("ip route add", {{"prefix", "10.9.0.0/16"}, {"drop", true}}), "ok");
  EXPECT_EQ(
      call("ip route add", {{"prefix", "10.9.0.0/16"}, {"paths", json::array({{{"vai", 1}}})}}),
      "ip route add: 'vai' is not a value of it");
  EXPECT_NE(call("ip route add", {{"prefix", "10.9.0.0/16"}, {"paths", json::array()}})
                .find("params do not make a command"),
            std::string::npos);
}

// Loads a file and says what came of it.
class RouteFileLines : public RouterLab {
 protected:
  std::string load_file(const std::string& text, const std::string& more = "") {
    const std::string path = testing::TempDir() + "routes.txt";
    auto file = MUST(host::OutputFile::create(path));  // A test's folder can be written.
    MUST(file.finish(text));
    std::string said;
    auto activity =
        line.execute("ip route load " + path + more,
                     {[](std::string_view) {},
                      [&](Result<Answer> r) { said = r ? r->text() : r.error().text; }});
    while (said.empty()) loop.run_for(1ms);
    return said.substr(said.find("routes.txt"));
  }
};

TEST_F(RouteFileLines, file_of_routes_is_set_whole_or_not_at_all) {
  up();
  std::string text =
      "# a table\nip route add 10.128.0.0/9 via 10.2.0.2 host-e1\n10.127.0.0/16 drop\n";
  for (int i = 0; i < 3000; ++i) {
    text += fmt::format("20.{}.{}.0/24 via 10.{}.0.2\n", i / 256, i % 256, 1 + i % 2);
  }
  EXPECT_EQ(load_file(text), "routes.txt: 3002 routes\n");
  EXPECT_NE(say("show ip fib 20.11.183.9").find("20.11.183.0/24"), std::string::npos);
  set("ip table add 4");
  const std::string before = now();
  EXPECT_EQ(load_file(text + "21.0.0.0/8 via 10.2.0.2\n22.0.0.0/33 via 10.2.0.2\n"),
            "routes.txt: line 3005: '22.0.0.0/33' is not a prefix; accepted: 10.0.0.0/8 or "
            "2001:db8::/32");
  EXPECT_NE(load_file("21.0.0.0/8 via 10.2.0.2\n", " table 4")
                .find("no connected prefix; `unreached` behind it lets it wait for one"),
            std::string::npos);
  EXPECT_EQ(load_file("\xef\xbb\xbf" + text), "routes.txt: 3002 routes\n") << "a byte order mark";
  EXPECT_EQ(now(), before);
  EXPECT_NE(say("ip route load /nonesuch table 9").find("no table '9'"), std::string::npos);
}

// A reader of long answers, who takes them when there is room.
class LongAnswers : public RouteLines {
 protected:
  void add_a_thousand() {
    for (uint32_t i = 0; i < 1000; ++i) {
      const net::Ip4 network{20u << 24 | i << 8};
      MUST(router.vnet().add_route({network, 24}, vnet::ip("10.2.0.2")));
    }
  }
  Output output(bool is_text) {
    is_done = false;
    return {[this](std::string_view text) { pieces.emplace_back(text); },
            [this](Result<Answer> answer) {
              is_done = true;
              if (answer) rows = answer->data();
            },
            is_text, [this] { return has_room; }};
  }
  bool has_room = false, is_done = false;
  std::vector<std::string> pieces;
  json rows;
};

// A full table's text is long: it is made as it is read, and forwarding goes on meanwhile.
TEST_F(LongAnswers, whole_table_is_told_in_pieces_to_who_has_room) {
  up();
  add_a_thousand();
  auto activity = line.execute("show ip fib", output(true));
  loop.run_for(100ms);
  EXPECT_TRUE(pieces.empty());
  has_room = true;
  loop.run_for(100ms);
  EXPECT_TRUE(is_done);
  EXPECT_GT(pieces.size(), 7u);
  EXPECT_EQ(fmt::format("{}", fmt::join(pieces, "")), say("show ip fib"));
  pieces.clear();
  activity = line.execute("show ip fib table 0", output(false));
  loop.run_for(100ms);
  EXPECT_TRUE(is_done && pieces.empty());
  EXPECT_EQ(rows, data("show ip fib"));
  has_room = false;
  activity = line.execute("show ip6 fib", output(true));
  activity->interrupt();
  loop.run_for(10ms);
  EXPECT_TRUE(is_done && pieces.empty());
}

// So is what is set, in an order in which it can be set.
TEST_F(LongAnswers, configuration_is_told_in_pieces_to_who_has_room) {
  up();
  set("ip route add 198.18.0.0/16 via 10.2.0.2\nip route add 19.0.0.0/8 via 198.18.0.1");
  add_a_thousand();
  auto activity = line.execute("show configuration", output(true));
  loop.run_for(100ms);
  EXPECT_TRUE(pieces.empty());
  has_room = true;
  loop.run_for(100ms);
  EXPECT_TRUE(is_done);
  EXPECT_GT(pieces.size(), 7u);
  EXPECT_EQ(fmt::format("{}", fmt::join(pieces, "")), now());
  EXPECT_LT(now().find("198.18.0.0/16"), now().find("19.0.0.0/8"));
  pieces.clear();
  activity = line.execute("show configuration", output(false));
  loop.run_for(100ms);
  EXPECT_TRUE(is_done && pieces.empty());
  EXPECT_EQ(rows.size(), line.configuration().size());
  has_room = false;
  activity = line.execute("show configuration", output(true));
  activity->interrupt();
  loop.run_for(10ms);
  EXPECT_TRUE(is_done && pieces.empty());
}

// Three ways to say one next hop, each of which a route keeps, and gives back.
TEST_F(RouteLines, next_hop_that_is_said_otherwise_is_another_way) {
  up();
  const std::string before = now();
  for (const char* text :
       {"10.7.0.0/16 via 10.2.0.2 weight 3", "10.8.0.0/16 via 10.2.0.2 unreached",
        "10.9.0.0/16 via 10.2.0.2", "10.10.0.0/16 via 10.2.0.2 host-e1"}) {
    set(fmt::format("ip route add {}", text));
    EXPECT_NE(now().find(fmt::format("ip route add {}\n", text)), std::string::npos) << now();
  }
  MUST(b.add_address(1, vnet::prefix("10.8.0.1/32")));
  EXPECT_EQ(pings(a, "10.8.0.1"), 2u);
  expect_lasting();
  set("ip route del 10.7.0.0/16\nip route del 10.9.0.0/16");
  EXPECT_EQ(pings(a, "10.8.0.1"), 2u);
  EXPECT_EQ(load(before), "applied");
  EXPECT_EQ(router.vnet().stack().paths.size(), 0u);
}

TEST_F(RouteLines, table_is_told_by_prefix_and_in_short) {
  up();
  set("ip route add 10.9.0.0/16 via 10.1.0.9\nip route add 2001:db8:9::/48 via drop");
  const json rows = data("show ip fib 10.9.0.0/16");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["prefix"], "10.9.0.0/16");
  EXPECT_EQ(data("show ip6 fib 2001:db8:9::/48")[0]["prefix"], "2001:db8:9::/48");
  EXPECT_TRUE(say("show ip fib 10.9.0.0/17").starts_with("no route 10.9.0.0/17;"));
  // Where there is no default route, it is told as for an address that nothing else covers.
  for (const char* what : {"ip fib 0.0.0.0/0", "ip fib 203.0.113.1", "ip6 fib ::/0"}) {
    EXPECT_EQ(data(fmt::format("show {}", what))[0]["forwarding"], "dpo-drop no route") << what;
  }
  // The table may stand in front or behind.
  set("ip table add 7\nip route add 10.9.0.0/16 table 7 via drop");
  for (const char* what : {"10.9.0.1", "10.9.0.0/16", "summary"}) {
    const std::string front = say(fmt::format("show ip fib table 7 {}", what));
    EXPECT_EQ(say(fmt::format("show ip fib {} table 7", what)), front);
    EXPECT_TRUE(front.starts_with("ipv4-VRF:7,")) << front;
  }
  EXPECT_TRUE(say("show ip6 fib 10.9.0.0/16").starts_with("no route 10.9.0.0/16;"));
  const json lengths = data("show ip fib summary");
  const json wanted = {{"table", 0}, {"length", 16}, {"count", 1}};
  EXPECT_NE(std::find(lengths.begin(), lengths.end(), wanted), lengths.end()) << lengths;
  EXPECT_NE(say("show ip fib summary").find("                  16               1\n"),
            std::string::npos)
      << say("show ip fib summary");
}

// Before it is gathered, where that is plain, and else as soon as it is.
TEST_F(RouteLines, whole_table_that_is_too_much_is_refused) {
  up();
  for (int i = 0; i < 200; ++i) set(fmt::format("ip route add 20.0.{}.0/24 via 10.2.0.2", i));
  for (const size_t most : {10'000u, 20'000u, 1'000'000u}) {
    std::string error;
    nlohmann::json rows;
    const auto activity = line.execute("show ip fib", {[](std::string_view) {},
                                                       [&](Result<Answer> answer) {
                                                         if (!answer) error = answer.error().text;
                                                         if (answer) rows = answer->data();
                                                       },
                                                       false, [] { return true; }, most});
    EXPECT_EQ(activity == nullptr, most == 10'000);
    loop.run_for(1s);
    EXPECT_EQ(error.empty(), most == 1'000'000) << most;
    EXPECT_EQ(rows.size() > 200, most == 1'000'000) << most;
  }
}

}  // namespace
}  // namespace wh::router
