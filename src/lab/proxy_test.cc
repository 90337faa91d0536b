#include "lab/proxy.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <filesystem>

#include "host/capabilities.h"
#include "host/system.h"

namespace wh::lab {
namespace {

TEST(Forward, names_a_port_and_where_it_leads) {
  EXPECT_EQ(parse_forward("5201").value().to, (tcp::Endpoint{net::Ip4::of(127, 0, 0, 1), 5201}));
  const Forward f = parse_forward("80=10.0.0.2:8080").value();
  EXPECT_EQ(f.port, 80);
  EXPECT_EQ(f.to, (tcp::Endpoint{net::Ip4::of(10, 0, 0, 2), 8080}));
  EXPECT_EQ(to_string(parse_forward("80=[2001:db8::1]:8080").value().to), "[2001:db8::1]:8080");
}

TEST(Forward, refuses_what_is_not_one_and_says_what_would_be) {
  for (const char* text : {"", "x", "0", "65536", "80=", "80=10.0.0.2", "80=10.0.0.2:", "80=:80",
                           "80=10.0.0.2:0", "80=nowhere:80", "=80"}) {
    EXPECT_FALSE(parse_forward(text).has_value()) << text;
  }
  EXPECT_NE(parse_forward("80=10.0.0.2").error().text.find("PORT=ADDRESS:PORT"), std::string::npos);
}

// A socket pair stands for the program, a world of one connection for the network: what a program
// writes and how it ends must come out of our TCP, and the reverse.
class RelayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    loop_ = MUST(host::RealLoop::make());  // A test process has descriptors left.
    wire_ = std::make_unique<net::Link>(
        MUST(net::parse_link_config("rate=1Gbps,delay=100us,buffer=50ms")),  // Well formed.
        end("a", 1), end("b", 2), *loop_, pool_, Random(1));
    near_ = std::make_unique<Host>(*loop_, pool_, "near", Random(2), 256_KiB);
    far_ = std::make_unique<Host>(*loop_, pool_, "far", Random(3), 256_KiB);
    join(*near_, wire_->a(), "10.0.0.1/24");
    join(*far_, wire_->b(), "10.0.0.2/24");
    listener_ = MUST(far_->tcp().listen({.local = {{}, 80}}));  // Nobody else does.
    tcp::Connection* ours = MUST(near_->tcp().connect({net::Ip4::of(10, 0, 0, 2), 80}, {}));
    auto pair = MUST(host::make_socket_pair(SOCK_STREAM));
    program_ = std::move(pair.first);
    relay_ = std::make_unique<Relay>(chunks_, [this](Relay&) { ++finished_; });
    relay_->join(*ours, MUST(host::StreamSocket::adopt(*loop_, std::move(pair.second),
                                                       relay_->socket_observer())));
    run_until([&] { return (remote_ = listener_->accept()) != nullptr; });
    ASSERT_NE(remote_, nullptr);
  }
  // Lets real time pass until something has happened: soon, but on a busy machine not in a set
  // time. What has not happened after five seconds, the caller's expectations say.
  template <class Happened>
  void run_until(Happened happened) {
    for (int i = 0; i < 1000 && !happened(); ++i) loop_->run_for(5ms);
  }
  static net::Interface::Config end(const char* name, uint32_t n) {
    return {.name = name, .mac = net::MacAddress::local(n), .checksum_offload = true};
  }
  static void join(Host& host, net::Interface& port, const char* address) {
    const uint16_t index = MUST(host.vnet().attach(port));  // A name and an address of their own.
    MUST(host.vnet().add_address(index, MUST(net::parse_prefix(address))));
  }
  std::string read_program() {
    std::array<uint8_t, 256> bytes;
    const auto n = host::read_some(program_.raw(), bytes);
    return n ? std::string(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(*n))
             : "error";
  }

  std::unique_ptr<host::RealLoop> loop_;
  net::PacketPool pool_;
  net::ChunkPool chunks_{65536, 8};
  std::unique_ptr<net::Link> wire_;
  std::unique_ptr<Host> near_, far_;
  tcp::Listener* listener_ = nullptr;
  tcp::Connection* remote_ = nullptr;
  host::Fd program_;
  std::unique_ptr<Relay> relay_;
  int finished_ = 0;
};

TEST_F(RelayTest, passes_bytes_and_ends_of_stream_both_ways) {
  ASSERT_TRUE(host::write_all(program_.raw(), "hello"));
  const std::string answer = "and back";
  ASSERT_TRUE(remote_->send({reinterpret_cast<const uint8_t*>(answer.data()), answer.size()}));
  run_until([&] { return remote_->readable() >= 5 && relay_->outcome().to_program >= 8u; });
  std::array<uint8_t, 16> got;
  EXPECT_EQ(remote_->recv(got), 5u);
  EXPECT_EQ(std::memcmp(got.data(), "hello", 5), 0);
  EXPECT_EQ(read_program(), "and back");
  remote_->shutdown_send();
  run_until([&] { return remote_->state() == tcp::State::FinWait2; });
  loop_->run_for(20ms);
  EXPECT_EQ(read_program(), "");  // The end.
  EXPECT_EQ(finished_, 0);        // The other direction lives on.
  ASSERT_TRUE(host::write_all(program_.raw(), "more"));
  program_.close();
  run_until([&] { return finished_ > 0 && remote_->readable() >= 4; });
  EXPECT_EQ(remote_->recv(got), 4u);
  EXPECT_TRUE(remote_->at_end());
  EXPECT_EQ(finished_, 1);
  const Relay::Outcome outcome = relay_->outcome();
  EXPECT_EQ(outcome.to_network, 9u);
  EXPECT_EQ(outcome.to_program, 8u);
  EXPECT_EQ(outcome.end, tcp::End::Normal);
  EXPECT_EQ(to_string(outcome.remote), "10.0.0.2:80");
  EXPECT_EQ(outcome.info.sent, 9_B);
}

TEST_F(RelayTest, a_program_that_does_not_read_holds_the_network_back) {
  const std::vector<uint8_t> block(65536);
  size_t sent = 0;
  for (int i = 0; i < 200; ++i) {
    sent += MUST(remote_->send(block));  // The connection lives.
    loop_->run_for(2ms);
  }
  EXPECT_LT(sent, size_t{4} << 20);  // Buffers of 256 KiB, a chunk and the socket's own.
  EXPECT_GT(sent, size_t{256} << 10);
}

// Each write of a program that nobody reads would else keep a chunk to itself.
TEST_F(RelayTest, many_small_writes_take_the_memory_of_their_bytes) {
  const std::vector<uint8_t> block(32768), little(100);
  const auto write = [&](const std::vector<uint8_t>& bytes) {
    const uint64_t before = relay_->outcome().to_network;
    ASSERT_GT(::send(program_.raw(), bytes.data(), bytes.size(), 0), 0);
    run_until([&] { return relay_->outcome().to_network - before == bytes.size(); });
  };
  for (int i = 0; i < 10; ++i) write(block);  // More than the remote's window.
  const size_t before = chunks_.in_use();
  for (int i = 0; i < 100; ++i) write(little);
  EXPECT_EQ(relay_->outcome().to_network, 337'680u);
  EXPECT_LE(chunks_.in_use(), before + 1);
}

TEST_F(RelayTest, a_reset_from_the_network_ends_it) {
  remote_->abort();
  run_until([&] { return finished_ > 0; });
  EXPECT_EQ(finished_, 1);
  EXPECT_EQ(relay_->outcome().end, tcp::End::Reset);
  EXPECT_EQ(read_program(), "");
}

// The second one's device is taken, and what it was told to log into is the first one's.
TEST(Proxy, one_that_cannot_begin_leaves_the_log_of_another) {
  if (auto can = host::can_use_tap(); !can) GTEST_SKIP() << can.error().text;
  const auto space = MUST(host::Netns::make());
  const std::string log = testing::TempDir() + fmt::format("wh-proxy-{}.log", ::getpid());
  const auto done = space.call([&]() -> Result<void> {
    const auto loop = TRY(host::RealLoop::make());
    const Proxy::Config config{.serve = {TRY(parse_forward("80"))}, .log = log};
    const auto first = TRY(Proxy::make(config, *loop));
    TRY(host::write_file(log, "a line\n"));
    if (Proxy::make(config, *loop)) return fail("two proxies have one device");
    const std::string kept = TRY(host::read_file(log));
    if (kept != "a line\n") return fail("the log is '{}'", kept);
    return {};
  });
  EXPECT_TRUE(done) << done.error().text;
  std::filesystem::remove(log);
}

TEST(ConnectionLog, has_a_field_for_each_name) {
  ConnectionLog::Entry e{.began = 1500ms, .lasted = 2s, .side = "serve", .port = 80};
  e.outcome = {.to_network = 3'000'000,
               .to_program = 82,
               .remote = {net::Ip4::of(192, 0, 2, 9), 40000},
               .end = tcp::End::Normal};
  EXPECT_EQ(line_of(e),
            "1.500\t2.000\tserve\t80\t192.0.2.9:40000\t3000000\t82\t0\t-\t-\t-\t-\t0\tnormal");
  e.outcome.info.acknowledged = 2'500'000_B;
  e.outcome.info.busy = 1s;
  e.outcome.info.retransmitted = 1448_B;
  e.outcome.info.pace = 30_Mbps;
  e.outcome.info.min_rtt = 20ms;
  e.outcome.info.srtt = 25'500us;
  e.outcome.info.timeouts = 1;
  EXPECT_EQ(line_of(e),
            "1.500\t2.000\tserve\t80\t192.0.2.9:40000\t3000000\t82\t1448\t20000000\t30000000\t"
            "20.000\t25.500\t1\tnormal");
}

}  // namespace
}  // namespace wh::lab
