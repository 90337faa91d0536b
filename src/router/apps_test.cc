// The router's own TCP and UDP, by lines of text, with programs of the hosts beside it.
#include "net/capture.h"
#include "net/wire/describe.h"
#include "router/local_apps.h"
#include "router/test_lab.h"
#include "tcp/test_world.h"

namespace wh::router {
namespace {

using tcp::End;

class AppLines : public RouterLab {
 protected:
  tcp::Connection& connect(tcp::TestApp& app, std::string_view address, uint64_t bytes) {
    tcp::Connection& c = *MUST(host_a.tcp().connect({vnet::ip(address), 7}, {.observer = &app}));
    app.attach(c, bytes, true);
    return c;
  }
  // What a command that takes its time has said at its end.
  std::string finish(const std::string& command) {
    std::string text;
    bool is_done = false;
    const auto activity =
        line.execute(command, {.print = [&](std::string_view more) { text += more; },
                               .done =
                                   [&](Result<Answer> answer) {
                                     text += answer ? answer->text() : answer.error().text;
                                     is_done = true;
                                   }});
    for (int i = 0; i < 100 && !is_done; ++i) loop.run_for(1s);
    EXPECT_TRUE(is_done) << command;
    return text;
  }

  LocalApps host_a{a}, host_b{b};
};

TEST_F(AppLines, echo_over_tcp_gives_back_what_came_in_both_families) {
  up();
  set("test echo server uri tcp://0.0.0.0/7\ntest echo server uri tcp://::/7");
  for (const char* address : {"10.1.0.1", "10.2.0.1", "2001:db8:1::1", "2001:db8:2::1"}) {
    tcp::TestApp app;
    connect(app, address, 3'000'000);
    loop.run_for(30s);
    EXPECT_EQ(app.received, 3'000'000u) << address;
    EXPECT_TRUE(app.intact && app.saw_end) << address;
  }
  EXPECT_EQ(data("show session").size(), 2u) << "only the listeners are left";
  expect_lasting();
}

TEST_F(AppLines, slow_reader_stops_the_echo_and_nothing_is_lost) {
  up();
  set("test echo server uri tcp://0.0.0.0/7");
  tcp::TestApp app;
  app.reads = false;
  tcp::Connection& c = connect(app, "10.1.0.1", 8'000'000);
  loop.run_for(10s);
  EXPECT_LT(app.written, 8'000'000u);
  app.reads = true;
  app.read(c);
  loop.run_for(60s);
  EXPECT_EQ(app.received, 8'000'000u);
  EXPECT_TRUE(app.intact);
}

TEST_F(AppLines, stopped_server_resets_its_connections_and_takes_no_more) {
  up();
  set("test echo server uri tcp://0.0.0.0/7");
  tcp::TestApp app;
  tcp::Connection& c = *MUST(host_a.tcp().connect({vnet::ip("10.1.0.1"), 7}, {.observer = &app}));
  loop.run_for(1s);
  ASSERT_EQ(c.state(), tcp::State::Established);
  EXPECT_EQ(data("show session")[1]["state"], "ESTABLISHED");
  set("test echo server stop uri tcp://0.0.0.0/7");
  loop.run_for(1s);
  EXPECT_EQ(app.ended, End::Reset);
  tcp::TestApp later;
  MUST(host_a.tcp().connect({vnet::ip("10.1.0.1"), 7}, {.observer = &later}));
  loop.run_for(1s);
  EXPECT_EQ(later.ended, End::Refused);
  EXPECT_TRUE(data("show session").empty());
}

TEST_F(AppLines, echo_over_udp_answers_from_the_address_that_was_asked) {
  up();
  set("test echo server uri udp://0.0.0.0/7\ntest echo server uri udp://::/7");
  std::vector<std::string> answers;
  const auto note = [&](const vnet::UdpDatagram& d) {
    const auto bytes = d.payload();
    answers.push_back(to_string(d.source) + " " + std::string(bytes.begin(), bytes.end()));
  };
  const auto socket4 = MUST(a.open_udp({.port = 4000}, note));
  const auto socket6 = MUST(a.open_udp({.family = net::Family::V6, .port = 4000}, note));
  const auto echo = MUST(a.open_udp({.port = 7}, note));
  const uint8_t hello[] = {'h', 'e', 'y'};
  MUST(socket4->send(vnet::ip("10.2.0.1"), 7, hello));
  MUST(socket6->send(vnet::ip("2001:db8:2::1"), 7, hello));
  // Another echo server gets no answer, wherever it is.
  const auto elsewhere = MUST(a.open_udp({.port = 1023}, note));
  MUST(echo->send(vnet::ip("10.1.0.1"), 7, hello));
  MUST(elsewhere->send(vnet::ip("10.1.0.1"), 7, hello));
  loop.run_for(2s);
  EXPECT_EQ(answers, (std::vector<std::string>{"10.2.0.1 hey", "2001:db8:2::1 hey"}));
  expect_lasting();
}

TEST_F(AppLines, client_says_how_long_the_way_there_and_back_took) {
  up();
  EXPECT_NE(finish("test echo client uri tcp://10.2.0.2/7").find("tcp://10.2.0.2/7: refused"),
            std::string::npos);
  MUST(host_b.start_echo(MUST(parse_uri("tcp://0.0.0.0/7"))));
  const std::string said = finish("test echo client uri tcp://10.2.0.2/7 bytes 5000000");
  EXPECT_NE(said.find("connected to tcp://10.2.0.2/7 in "), std::string::npos) << said;
  EXPECT_NE(said.find("5000000 bytes there and back in "), std::string::npos) << said;
  EXPECT_EQ(finish("test echo client uri udp://10.2.0.2/7"),
            "udp://10.2.0.2/7: accepted: tcp://ADDRESS/PORT");
  EXPECT_NE(finish("test echo client uri tcp://203.0.113.1/7").find("203.0.113.1"),
            std::string::npos);
  EXPECT_EQ(data("show session")[0]["state"], "TIME_WAIT");
  loop.run_for(61s);
  EXPECT_TRUE(data("show session").empty());
}

// What never came to have a link header, and a checksum that was left to the device.
TEST_F(AppLines, drop_of_what_was_made_here_is_captured_as_a_frame) {
  up();
  const std::string path = testing::TempDir() + "drop.pcap";
  EXPECT_NE(say("pcap trace drop max 10 file " + path).find("pcap"), std::string::npos);
  finish("test echo client uri tcp://10.1.0.77/7");  // Nobody has this address.
  finish("test echo client uri tcp://2001:db8:1::77/7");
  EXPECT_NE(say("pcap trace off").find("Write"), std::string::npos);
  std::string all;
  for (const auto& packet : MUST(net::read_capture(path))) {
    all += net::describe_ethernet(packet.bytes, packet.size) + "\n";
  }
  EXPECT_NE(all.find("> 10.1.0.77.7: Flags [S"), std::string::npos) << all;
  EXPECT_NE(all.find("> 2001:db8:1::77.7: Flags [S"), std::string::npos) << all;
  EXPECT_EQ(all.find("checksum"), std::string::npos) << all;
}

// Two tables with the same addresses, on both sides: 10.1.0.1 is the router, 10.1.0.2 is a in one
// and b in the other.
class AppsOfTables : public AppLines {
 protected:
  AppsOfTables() {
    for (const char* own : {"10.2.0.2", "2001:db8:2::2"}) {
      MUST(b.remove_address(1, vnet::ip(own)));
    }
    MUST(b.add_address(1, vnet::prefix("10.1.0.2/24")));
    MUST(b.add_address(1, vnet::prefix("2001:db8:1::2/64")));
    set(R"(create host-interface name e0
           create host-interface name e1
           set interface state host-e0 up
           set interface state host-e1 up
           ip table add 7
           set interface ip table host-e1 7
           set interface ip address host-e0 10.1.0.1/24
           set interface ip address host-e1 10.1.0.1/24
           set interface ip address host-e0 2001:db8:1::1/64
           set interface ip address host-e1 2001:db8:1::1/64)");
    loop.run_for(5s);
  }
};

// The same four-tuple in each.
TEST_F(AppsOfTables, connections_with_the_same_ends_are_told_apart) {
  set("test echo server uri tcp://0.0.0.0/7\ntest echo server uri tcp://::/7");
  for (const auto& [address, own] :
       {std::pair("10.1.0.1", "10.1.0.2"), std::pair("2001:db8:1::1", "2001:db8:1::2")}) {
    tcp::TestApp apps[2];
    tcp::Connection* ends[2];
    LocalApps* from[2] = {&host_a, &host_b};
    for (int i = 0; i < 2; ++i) {
      ends[i] = MUST(from[i]->tcp().connect(
          {vnet::ip(address), 7}, {.local = {vnet::ip(own), 5000}, .observer = &apps[i]}));
    }
    loop.run_for(10ms);
    std::vector<std::string> tables;
    for (const auto& row : data("show session")) {
      if (row["remote"] != "*") tables.push_back(row["table"]);
    }
    EXPECT_EQ(tables, (std::vector<std::string>{"0", "7"})) << say("show session");
    for (int i = 0; i < 2; ++i) apps[i].attach(*ends[i], 300'000u << i, true);
    loop.run_for(30s);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(apps[i].received, 300'000u << i) << address << " " << i;
      EXPECT_TRUE(apps[i].intact && apps[i].saw_end) << address << " " << i;
    }
  }
  expect_lasting();
}

TEST_F(AppsOfTables, server_of_one_table_is_refused_in_another) {
  set("test echo server uri tcp://0.0.0.0/7 table 7\ntest echo server uri udp://0.0.0.0/7 table 7");
  tcp::TestApp refused, taken;
  MUST(host_a.tcp().connect({vnet::ip("10.1.0.1"), 7}, {.observer = &refused}));
  MUST(host_b.tcp().connect({vnet::ip("10.1.0.1"), 7}, {.observer = &taken}));
  size_t answers = 0, errors = 0;
  const uint8_t hello[] = {'h', 'e', 'y'};
  std::vector<std::unique_ptr<vnet::UdpSocket>> sockets;
  for (vnet::Vnet* host : hosts) {
    sockets.push_back(MUST(host->open_udp({}, [&](const vnet::UdpDatagram&) { ++answers; })));
    sockets.back()->on_error([&](const net::IpError&) { ++errors; });
    MUST(sockets.back()->send(vnet::ip("10.1.0.1"), 7, hello));
  }
  loop.run_for(1s);
  EXPECT_EQ(refused.ended, End::Refused);
  EXPECT_EQ(taken.ended, End::None);
  EXPECT_EQ(answers, 1u);
  EXPECT_EQ(errors, 1u) << "port unreachable in table 0";
  expect_refused({{"test echo server stop uri tcp://0.0.0.0/7", "no echo server"},
                  {"test echo server uri tcp://0.0.0.0/7 table 7", "in use"},
                  {"test echo server uri tcp://0.0.0.0/7 table 8", "no table '8'"}});
  // Beside it one of all tables, which takes what it does not.
  set("test echo server uri tcp://0.0.0.0/7");
  set("test echo server stop uri tcp://0.0.0.0/7 table 7");
  loop.run_for(1s);
  EXPECT_EQ(taken.ended, End::None) << "there is one that takes it still";
  set("test echo server uri tcp://0.0.0.0/7 table 7");
  expect_lasting();
  loop.run_for(1s);
  EXPECT_EQ(taken.ended, End::Reset);
}

TEST_F(AppsOfTables, closed_port_is_refused_in_its_table) {
  tcp::TestApp app;
  MUST(host_b.tcp().connect({vnet::ip("10.1.0.1"), 9}, {.observer = &app}));
  loop.run_for(1s);
  EXPECT_EQ(app.ended, End::Refused);
}

TEST_F(AppsOfTables, ping_and_client_speak_in_the_table_that_they_are_told) {
  MUST(b.add_address(1, vnet::prefix("192.0.2.1/32")));
  set("ip route add 192.0.2.0/24 table 7 via 10.1.0.2");
  for (const char* how : {"table-id 7", "source host-e1", "source host-e1 table-id 7"}) {
    EXPECT_NE(finish(fmt::format("ping 192.0.2.1 repeat 1 {}", how)).find("1 received"),
              std::string::npos)
        << how;
  }
  EXPECT_NE(finish("ping 2001:db8:1::2 repeat 1 table-id 7").find("1 received"), std::string::npos);
  EXPECT_NE(finish("ping 192.0.2.1 repeat 1").find("192.0.2.1"), std::string::npos);
  EXPECT_EQ(finish("ping 192.0.2.1 source host-e1 table-id 0"), "host-e1 is in table 7");
  MUST(host_b.start_echo(MUST(parse_uri("tcp://0.0.0.0/7"))));
  for (const char* how : {"table 7", "source host-e1"}) {
    EXPECT_NE(finish(fmt::format("test echo client uri tcp://192.0.2.1/7 {}", how))
                  .find("1048576 bytes there and back"),
              std::string::npos)
        << how;
  }
  EXPECT_NE(finish("test echo client uri tcp://192.0.2.1/7").find("unreachable"),
            std::string::npos);
}

// A host of a table says that a port is closed: whoever sent to it there hears of it.
TEST_F(AppsOfTables, icmp_error_finds_who_sent_in_its_table) {
  size_t errors = 0;
  const auto socket = MUST(router.vnet().open_udp({.table = MUST(router.vnet().table_of(7))},
                                                  [](const vnet::UdpDatagram&) {}));
  socket->on_error([&](const net::IpError&) { ++errors; });
  MUST(socket->send(vnet::ip("10.1.0.2"), 9, std::vector<uint8_t>{1}));
  loop.run_for(1s);
  EXPECT_EQ(errors, 1u);
  EXPECT_EQ(b.graph().error_count("ip4-udp-lookup", "no_listener"), 1u);
}

TEST_F(AppsOfTables, table_that_goes_takes_its_connections_along) {
  set("test echo server uri tcp://0.0.0.0/7 table 7\ntest echo server uri tcp://::/7");
  tcp::TestApp app4, app6;
  MUST(host_b.tcp().connect({vnet::ip("10.1.0.1"), 7}, {.observer = &app4}));
  MUST(host_b.tcp().connect({vnet::ip("2001:db8:1::1"), 7}, {.observer = &app6}));
  loop.run_for(1s);
  EXPECT_EQ(data("show session").size(), 4u) << say("show session");
  set(R"(set interface ip address del host-e1 10.1.0.1/24
         set interface ip address del host-e1 2001:db8:1::1/64)");
  // Its link-local address may stay.
  set("set interface ip table host-e1 0");
  expect_refused({{"ip table del 7", "VRF 7: 0.0.0.0:7 listens in it"}});
  set("test echo server stop uri tcp://0.0.0.0/7 table 7");
  set("test echo server uri udp://::/7 table 7");
  expect_refused({{"ip table del 7", "VRF 7: UDP port 7 is open in it"}});
  set("test echo server stop uri udp://::/7 table 7");
  EXPECT_EQ(data("show session").size(), 2u) << say("show session");
  set("ip table del 7");
  EXPECT_EQ(data("show session").size(), 1u) << say("show session");
  set("ip table add 8");  // In its place.
  loop.run_for(60s);
  EXPECT_EQ(data("show session").size(), 1u);
}

TEST_F(AppLines, what_no_server_can_be_is_refused) {
  set("test echo server uri tcp://0.0.0.0/7");
  expect_refused({{"test echo server uri tcp://0.0.0.0/7", "in use"},
                  {"test echo server uri tcp://10.1.0.1/7", "accepted: 0.0.0.0 and ::"},
                  {"test echo server stop uri tcp://::/7", "no echo server at tcp://::/7"},
                  {"test echo server uri tcp://0.0.0.0/0", "from 1 to 65535"},
                  {"test echo server uri tcp://0.0.0.0/65536", "from 1 to 65535"},
                  {"test echo server uri tcp://0.0.0.0/7x", "from 1 to 65535"},
                  {"test echo server uri http://0.0.0.0/7", "tcp://ADDRESS/PORT"},
                  {"test echo server uri tcp://here/7", "tcp://ADDRESS/PORT"},
                  {"test echo server uri tcp://0.0.0.0", "tcp://ADDRESS/PORT"}});
}

}  // namespace
}  // namespace wh::router
