#include "router/server.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "host/child.h"
#include "host/system.h"
#include "router/client.h"
#include "router/metrics.h"
#include "router/startup.h"

namespace wh::router {
namespace {

using nlohmann::json;

// A router of paper ports in real time, and a client's end of its socket.
class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto [ours, theirs] = MUST(host::make_socket_pair(SOCK_STREAM));  // Descriptors are left.
    ASSERT_TRUE(server_.serve(std::move(theirs), [this] { left_ = true; }));
    client_ = std::make_unique<host::Stream>(
        std::move(ours), *loop_,
        host::Stream::Actions{[this](std::string_view bytes) { input_ += bytes; }, [] {}}, "test");
    ASSERT_TRUE(client_->start());
  }
  // Sends a line and waits for as many answers.
  std::vector<json> ask(const std::string& line, size_t answers = 1) {
    client_->write(line + "\n");
    std::vector<json> got;
    for (int round = 0; round < 400 && got.size() < answers; ++round) {
      loop_->run_for(5ms);
      for (size_t end; (end = input_.find('\n')) != std::string::npos;) {
        got.push_back(json::parse(input_.substr(0, end)));
        input_.erase(0, end + 1);
      }
    }
    EXPECT_EQ(got.size(), answers) << line;
    got.resize(answers);
    return got;
  }
  // Runs until it is so, or for as long as no machine needs.
  template <class F>
  void run_until(F&& is_so) {
    for (int round = 0; round < 5000 && !is_so(); ++round) loop_->run_for(2ms);
  }
  static std::unique_ptr<host::RealLoop> make_loop() {
    return MUST(host::RealLoop::make());  // Descriptors are left.
  }
  std::unique_ptr<host::RealLoop> loop_ = make_loop();
  PaperPorts ports_{*loop_};
  Router router_{{}, *loop_, ports_};
  CommandLine line_{router_};
  Server server_{line_, *loop_};
  std::unique_ptr<host::Stream> client_;
  std::string input_;
  bool left_ = false;
};

TEST_F(ServerTest, line_is_answered_as_text_and_method_as_json) {
  EXPECT_EQ(ask(R"({"id": 4, "command": "create netmap name e0"})")[0],
            (json{{"id", 4}, {"ok", true}, {"text", "netmap-e0\n"}}));
  const json params = {{"interface", "netmap-e0"}, {"prefix", "10.0.0.1/24"}};
  const json request = {{"method", "set interface ip address"}, {"params", params}};
  EXPECT_EQ(ask(request.dump())[0], (json{{"ok", true}, {"result", nullptr}}));
  const json rows = ask(R"({"method": "show interface address"})")[0]["result"];
  EXPECT_EQ(rows[1]["addresses"][0]["prefix"], "10.0.0.1/24");
}

TEST_F(ServerTest, errors_say_what_was_wrong) {
  const json no_json = {{"ok", false}, {"error", "not JSON, or more than 64 deep"}};
  EXPECT_EQ(ask("nonsense")[0], no_json);
  const std::string deep = std::string(300'000, '[') + std::string(300'000, ']');
  for (const char* request : {R"({{"id": {}, "command": "show version"}})",
                              R"({{"method": "show version", "params": {{"x": {}}}}})"}) {
    EXPECT_EQ(ask(fmt::format(fmt::runtime(request), deep))[0], no_json);
    EXPECT_EQ(ask(fmt::format(fmt::runtime(request), "[[[[]]]]"))[0].contains("ok"), true);
  }
  EXPECT_EQ(ask("[1]")[0]["error"], "a request is a JSON object");
  EXPECT_EQ(ask(R"({"id": 1, "method": "shaw interface"})")[0]["error"],
            "no method 'shaw interface'; did you mean 'show interface'?");
  EXPECT_EQ(ask(R"({"id": 1, "command": 7})")[0]["ok"], false);
  EXPECT_EQ(ask(R"({"command": "show int x"})")[0]["ok"], false);
}

TEST_F(ServerTest, requests_are_answered_in_order_and_an_interrupt_goes_ahead) {
  ask(R"({"command": "create netmap name e0"})");
  ask(R"({"command": "set interface ip address netmap-e0 10.0.0.1/24"})");
  ask(R"({"command": "set interface state netmap-e0 up"})");
  client_->write(
      "{\"id\":1,\"command\":\"ping 10.0.0.2 repeat 100\"}\n{\"id\":2,\"command\":\"sh ver\"}\n");
  loop_->run_for(20ms);
  EXPECT_EQ(input_, "");
  // Twice at once, as a key that is held: the second comes when the last word was said.
  const auto answers = ask("{\"interrupt\": true}\n{\"interrupt\": true}", 2);
  EXPECT_EQ(answers[0]["id"], 1);
  EXPECT_NE(answers[0]["text"].get<std::string>().find("100% packet loss"), std::string::npos);
  EXPECT_EQ(answers[1]["id"], 2);
}

// What does not fit waits at the client.
TEST_F(ServerTest, requests_that_wait_are_bounded_and_all_answered) {
  ask(R"({"command": "create netmap name e0"})");
  ask(R"({"command": "set interface ip address netmap-e0 10.0.0.1/24"})");
  ask(R"({"command": "set interface state netmap-e0 up"})");
  const std::string long_one(Server::kMostBytes / 2, ' ');
  std::string lines = "{\"command\":\"ping 10.0.0.2 repeat 1\"}\n";
  for (int i = 0; i < 12; ++i) lines += "{\"command\":\"\"" + long_one + "}\n";
  client_->write(lines);
  loop_->run_for(200ms);
  EXPECT_EQ(input_, "");
  EXPECT_GT(client_->queued(), 2 * Server::kMostBytes);
  run_until([&] { return std::count(input_.begin(), input_.end(), '\n') == 13; });
  EXPECT_EQ(std::count(input_.begin(), input_.end(), '\n'), 13) << input_;
}

// A file from elsewhere, whose lines end as they do there: a blank one is none that says quit.
TEST_F(ServerTest, prompt_takes_lines_that_end_in_carriage_returns) {
  auto [ours, theirs] = MUST(host::make_socket_pair(SOCK_STREAM));
  ASSERT_TRUE(server_.serve(std::move(theirs)));
  host::Pipe input = MUST(host::make_pipe()), output = MUST(host::make_pipe());
  const int raw = ours.raw();
  auto child = MUST(host::Child::run({.name = "prompt",
                                      .standard_input = input.read_end.raw(),
                                      .standard_output = output.write_end.raw(),
                                      .keep = {raw}},
                                     [raw] { return Client(host::Fd(raw)).interact(); }));
  ours.close();
  MUST(host::write_all(input.write_end.raw(), "show version\r\n\r\nshow version\r\nquit\r\n"));
  input.write_end.close();
  output.write_end.close();
  run_until([&] { return !child.is_running(); });
  const std::string said = MUST(host::read_to_end(output.read_end.raw()));
  const size_t first = said.find("wheelhouse v");
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_NE(said.find("wheelhouse v", first + 1), std::string::npos) << said;
}

TEST(ClientTest, router_that_has_gone_is_an_error) {
  auto [ours, theirs] = MUST(host::make_socket_pair(SOCK_STREAM));
  theirs = host::Fd();
  std::FILE* nowhere = std::fopen("/dev/null", "w");
  EXPECT_EQ(Client(std::move(ours)).run("show version", false, nowhere), 2);
  std::fclose(nowhere);
}

TEST_F(ServerTest, client_that_leaves_takes_what_it_started_along) {
  ask(R"({"command": "create netmap name e0"})");
  ask(R"({"command": "set interface ip address netmap-e0 10.0.0.1/24"})");
  ask(R"({"command": "set interface state netmap-e0 up"})");
  client_->write("{\"command\":\"ping 10.0.0.2 repeat 100\"}\n");
  loop_->run_for(20ms);
  client_.reset();
  run_until([&] { return left_; });
  EXPECT_TRUE(left_);
  EXPECT_EQ(server_.clients(), 0u);
}

// A session that is lost in the middle stops no packet for the rest of it.
TEST_F(ServerTest, load_goes_on_in_steps_when_its_client_has_gone) {
  constexpr int kRoutes = 6000;
  const std::string path = fmt::format("{}gone-{}.conf", testing::TempDir(), ::getpid());
  std::string text;
  for (int i = 0; i < kRoutes; ++i) {
    text += fmt::format("ip route add 20.{}.{}.0/24 via drop\n", i / 256, i % 256);
  }
  MUST(host::write_file(path, text));  // A test's folder can be written.
  const auto is_refused = [&] { return !line_.run("set sysctl net.inet.ip.ttl 64"); };
  client_->write(json{{"command", "configuration load " + path}}.dump() + "\n");
  run_until(is_refused);
  client_.reset();
  int turns = 0;
  Timer turn(*loop_, [&] {
    ++turns;
    turn.arm(loop_->now());
  });
  turn.arm(loop_->now());
  run_until([&] { return left_; });
  EXPECT_GT(turns, 40);
  EXPECT_FALSE(is_refused());
  EXPECT_EQ(line_.configuration().size(), size_t{kRoutes});
  EXPECT_EQ(server_.clients(), 0u);
  std::remove(path.c_str());
}

TEST_F(ServerTest, completion_and_schema_come_through_the_socket) {
  EXPECT_EQ(ask(R"({"complete": "show interf"})")[0]["result"], (json{"interface"}));
  const json schema = ask(R"({"schema": true})")[0]["result"];
  EXPECT_GT(schema.size(), 20u);
  for (const json& method : schema) EXPECT_TRUE(method["params"].contains("properties"));
}

// As a person without a prompt asks: what could come next.
TEST_F(ServerTest, question_mark_at_a_lines_end_is_answered) {
  const json help = ask(R"({"command": "show ip ?"})")[0];
  EXPECT_EQ(help["ok"], true);
  EXPECT_NE(help["text"].get<std::string>().find("  fib "), std::string::npos) << help;
  const json end = ask(R"({"command": "show version ?"})")[0];
  EXPECT_NE(end.value("text", "").find("<cr>"), std::string::npos) << "an answer";
  EXPECT_EQ(ask(R"({"command": "show ip f?"})")[0]["text"].get<std::string>().find("neigh"),
            std::string::npos);
  EXPECT_FALSE(ask(R"({"command": "show ip ?", "json": true})")[0]["result"].empty());
  EXPECT_NE(ask(R"({"command": "shew ?"})")[0].value("error", "").find("shew"), std::string::npos);
  EXPECT_NE(ask(R"({"command": "set int state local0 up"})")[0]
                .value("error", "")
                .find("local0 is the router itself"),
            std::string::npos);
  EXPECT_EQ(ask(R"({"prompt": true})")[0]["result"], "vpp# ");
  line_.set_prompt("r1# ");
  EXPECT_EQ(ask(R"({"prompt": true})")[0]["result"], "r1# ");
}

TEST_F(ServerTest, request_without_end_is_cut_off) {
  client_->write(std::string(Server::kMostBytes + 100, 'x'));
  run_until([&] { return server_.clients() == 0 && !input_.empty(); });
  EXPECT_NE(input_.find("more than"), std::string::npos);
  EXPECT_EQ(server_.clients(), 0u);
}

TEST_F(ServerTest, metrics_are_text_that_prometheus_reads) {
  ask(R"({"command": "create netmap name e0"})");
  const std::string text = metrics_text(router_);
  EXPECT_NE(text.find("wheelhouse_interface_up{interface=\"netmap-e0\"} 0\n"), std::string::npos);
  EXPECT_NE(text.find("# TYPE wheelhouse_interface_rx_packets_total counter\n"), std::string::npos);
  auto metrics = MetricsServer::open(router_, *loop_, 0);
  ASSERT_TRUE(metrics) << metrics.error().text;
  EXPECT_NE((*metrics)->port(), 0);
  const std::pair<const char*, const char*> requests[] = {{"GET /metrics?x=1", "200"},
                                                          {"HEAD /metrics", "200"},
                                                          {"GET /metric?s", "404"},
                                                          {"POST /metrics", "405"}};
  for (const auto& [request, status] : requests) {
    const host::Fd client(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in at{.sin_family = AF_INET, .sin_port = htons((*metrics)->port())};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Sound: connect(2) takes any socket address by its common beginning.
    ASSERT_EQ(::connect(client.raw(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    MUST(host::write_all(client.raw(), fmt::format("{} HTTP/1.1\r\n\r\n", request)));
    std::string got;
    run_until([&] {
      char some[4096];
      const ssize_t n = ::recv(client.raw(), some, sizeof some, MSG_DONTWAIT);
      if (n > 0) got.append(some, static_cast<size_t>(n));
      return n == 0;
    });
    EXPECT_TRUE(got.starts_with(fmt::format("HTTP/1.0 {}", status))) << got;
    EXPECT_EQ(got.find("# HELP") != std::string::npos, request == requests[0].first) << request;
  }
}

TEST(Startup, reads_the_articles_arguments_and_what_else_vpp_takes) {
  const auto article = parse_startup(
      "unix { interactive} plugins { plugin default { disable } plugin\n"
      "netmap_plugin.so { enable } plugin ping_plugin.so { enable } }",
      "arguments");
  ASSERT_TRUE(article) << article.error().text;
  EXPECT_TRUE(article->interactive);
  EXPECT_TRUE(article->plugins.empty());
  const auto file = parse_startup(
      "# comment\nunix {\n  nodaemon\n  exec /etc/s\n  cli-listen /run/c\n log /l full-coredump }\n"
      "cpu { main-core 1 corelist-workers 0,2-3 }\nheapsize 1G\nmetrics { port 9482 }\n"
      "plugins { path /p plugin mine.so { enable } plugin theirs.so { disable } }",
      "f");
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ(*file->exec, "/etc/s");
  EXPECT_EQ(*file->cli_listen, "/run/c");
  EXPECT_EQ(*file->metrics_port, 9482);
  EXPECT_EQ(file->workers, 3u);
  EXPECT_EQ(file->main_core, 1u);
  EXPECT_EQ(file->worker_cores, (std::vector<uint32_t>{0, 2, 3}));
  const auto other = parse_startup(
      "unix { pidfile /p cli-prompt r1# } cpu { workers 2 placement interface }", "f");
  ASSERT_TRUE(other) << other.error().text;
  EXPECT_EQ(*other->pidfile, "/p");
  EXPECT_EQ(*other->prompt, "r1# ");
  EXPECT_EQ(other->workers, 2u);
  EXPECT_TRUE(other->places_interfaces);
  EXPECT_FALSE(file->places_interfaces);
  EXPECT_EQ(other->text,
            "unix { pidfile /p cli-prompt r1# } cpu { workers 2 placement interface }");
  EXPECT_FALSE(
      parse_startup("dpdk { dev 0:2.0 { name e0 } no-multi-seg } unix { nobanner }", "f")->banner);
  ASSERT_EQ(file->plugins.size(), 1u);
  EXPECT_EQ(file->plugins[0].name, "mine.so");
  EXPECT_EQ(file->plugins[0].place, "f:10");
  EXPECT_TRUE(
      parse_startup("\xef\xbb\xbf"
                    "unix { nodaemon }",
                    "f"));
}

TEST(Startup, error_names_line_word_and_what_was_expected) {
  auto text = [](std::string_view t) {
    const auto startup = parse_startup(t, "f.conf");
    return startup ? "accepted" : startup.error().text;
  };
  EXPECT_EQ(text("unix {\n interactive\n exek /x }"),
            "f.conf:3: 'exek'; expected interactive, nodaemon, exec SCRIPT, startup-config FILE, "
            "cli-listen SOCKET, log FILE, pidfile FILE, cli-prompt TEXT, nobanner or }");
  EXPECT_EQ(text("unix {\n exec }"), "f.conf:2: '}'; expected the path of a script");
  EXPECT_EQ(text("unix {\n nodaemon"), "f.conf:2: the text ends too early; expected }");
  EXPECT_EQ(text("dpdk " + std::string(400'000, '{')),
            "f.conf:1: the text ends too early; expected }");
  EXPECT_EQ(text("heapsize }"), "f.conf:1: '}'; expected a value or {");
  EXPECT_EQ(text("linux { }"),
            "f.conf:1: 'linux'; expected a section: unix, plugins, metrics, cpu");
  EXPECT_EQ(text("cpu { workers 65 }"), "f.conf:1: '65'; expected a number of workers, 0 to 64");
  for (const char* cores : {"1-", "3-2", "a", "0,,1", "0-70", "2000", "1,"}) {
    EXPECT_EQ(text(fmt::format("cpu {{ corelist-workers {} }}", cores)),
              fmt::format("f.conf:1: '{}'; expected cores, at most 64, as 1,3-4", cores));
  }
  EXPECT_EQ(text("cpu { workers 3 corelist-workers 0-1 }"),
            "f.conf:1: '0-1'; expected as many workers as corelist-workers has cores");
  EXPECT_EQ(text("cpu { scheduler-policy fifo }"),
            "f.conf:1: 'scheduler-policy'; expected workers NUMBER, placement flow|interface, "
            "main-core NUMBER, corelist-workers LIST or }");
  EXPECT_EQ(text("cpu { workers 2 placement core }"),
            "f.conf:1: 'core'; expected flow or interface");
  EXPECT_EQ(text("metrics { port 99999 }"),
            "f.conf:1: '99999'; expected a port number, 0 to 65535");
  EXPECT_EQ(text("plugins { plugin x.so { on } }"), "f.conf:1: 'on'; expected enable or disable");
}

}  // namespace
}  // namespace wh::router
