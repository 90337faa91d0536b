// The router's own TCP and UDP, by lines of text, with programs of the hosts beside it.
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
  MUST_VOID(socket4->send(vnet::ip("10.2.0.1"), 7, hello));
  MUST_VOID(socket6->send(vnet::ip("2001:db8:2::1"), 7, hello));
  MUST_VOID(echo->send(vnet::ip("10.1.0.1"), 7, hello));  // Another echo server gets no answer.
  loop.run_for(2s);
  EXPECT_EQ(answers, (std::vector<std::string>{"10.2.0.1 hey", "2001:db8:2::1 hey"}));
  expect_lasting();
}

TEST_F(AppLines, client_says_how_long_the_way_there_and_back_took) {
  up();
  EXPECT_NE(finish("test echo client uri tcp://10.2.0.2/7").find("tcp://10.2.0.2/7: refused"),
            std::string::npos);
  MUST_VOID(host_b.start_echo(MUST(parse_uri("tcp://0.0.0.0/7"))));
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
