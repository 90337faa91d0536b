#include "host/kernel_peer.h"

#include <gtest/gtest.h>

#include "host/capabilities.h"
#include "host/tap.h"

namespace wh::host {
namespace {

net::IpAddress ip(const char* text) {
  return MUST(net::parse_ip(text));  // Well formed, all of them.
}

class KernelPeerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (auto can = can_make_netns(); !can) {
      GTEST_SKIP() << "needs a network namespace: " << can.error().text;
    }
    space_ = std::make_unique<Netns>(MUST(Netns::make()));  // Just tried.
  }
  std::unique_ptr<Netns> space_;
};

TEST_F(KernelPeerTest, both_directions_arrive_whole_over_both_versions) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    auto server = KernelPeer::start(
        *space_, {.role = PeerRole::Listen, .address = ip(address), .send = 3_MiB});
    ASSERT_TRUE(server) << server.error().text;
    auto client = KernelPeer::start(*space_, {.role = PeerRole::Connect,
                                              .address = ip(address),
                                              .send = 5000001_B,
                                              .congestion = "reno"});
    ASSERT_TRUE(client) << client.error().text;
    const auto served = (*server)->wait();
    const auto sent = (*client)->wait();
    ASSERT_TRUE(served) << served.error().text;
    ASSERT_TRUE(sent) << sent.error().text;
    EXPECT_EQ(sent->sent, 5000001_B);
    EXPECT_EQ(served->received, 5000001_B);
    EXPECT_EQ(sent->received, 3_MiB);
    EXPECT_TRUE(served->is_intact());
    EXPECT_TRUE(sent->is_intact());
    EXPECT_EQ(sent->congestion, "reno");
    EXPECT_GT(sent->elapsed, 0ns);
    EXPECT_GT(sent->mss, 0u);
    EXPECT_NE(sent->json.find("\"rtt_us\":"), std::string::npos);
  }
}

TEST_F(KernelPeerTest, what_it_sends_in_its_warm_up_is_not_reported) {
  auto server = KernelPeer::start(*space_, {});
  ASSERT_TRUE(server) << server.error().text;
  auto client = KernelPeer::start(*space_, {.role = PeerRole::Connect,
                                            .address = ip("127.0.0.1"),
                                            .send = 1_MiB,
                                            .warmup = 200ms,
                                            .pace = 20_Mbps});
  ASSERT_TRUE(client) << client.error().text;
  const auto served = (*server)->wait();
  const auto sent = (*client)->wait();
  ASSERT_TRUE(served) << served.error().text;
  ASSERT_TRUE(sent) << sent.error().text;
  EXPECT_EQ(served->received, 1_MiB);
  EXPECT_LT(sent->sent, 1_MiB);
}

TEST_F(KernelPeerTest, one_that_waits_connects_when_it_is_told_to) {
  const PeerConfig config{
      .role = PeerRole::Connect, .address = ip("127.0.0.1"), .send = 64_KiB, .waits = true};
  auto unheard = KernelPeer::start(*space_, config);  // Nobody listens yet.
  ASSERT_TRUE(unheard) << unheard.error().text;
  (*unheard)->stop();
  const auto nothing = (*unheard)->wait();
  ASSERT_TRUE(nothing) << nothing.error().text;
  EXPECT_EQ(nothing->sent, 0_B);
  EXPECT_EQ(nothing->elapsed, 0ns);

  auto client = KernelPeer::start(*space_, config);
  ASSERT_TRUE(client) << client.error().text;
  auto server = KernelPeer::start(*space_, {});
  ASSERT_TRUE(server) << server.error().text;
  (*client)->go();
  const auto served = (*server)->wait();
  ASSERT_TRUE(served) << served.error().text;
  EXPECT_EQ(served->received, 64_KiB);
  ASSERT_TRUE((*client)->wait());
  (*client)->go();  // Too late, and harmless.
}

TEST_F(KernelPeerTest, wrong_pattern_is_found_at_its_first_byte) {
  auto server = KernelPeer::start(*space_, {.seed = 77});
  ASSERT_TRUE(server) << server.error().text;
  auto client = KernelPeer::start(
      *space_, {.role = PeerRole::Connect, .address = ip("127.0.0.1"), .send = 64_KiB});
  ASSERT_TRUE(client) << client.error().text;
  const auto served = (*server)->wait();
  ASSERT_TRUE(served) << served.error().text;
  EXPECT_FALSE(served->is_intact());
  EXPECT_LT(*served->first_wrong_byte, 8u);
  EXPECT_EQ(served->received, 64_KiB);
}

TEST_F(KernelPeerTest, source_stops_after_its_time_and_unverified_sink_counts) {
  auto server = KernelPeer::start(*space_, {.verify = false});
  ASSERT_TRUE(server) << server.error().text;
  auto client = KernelPeer::start(*space_, {.role = PeerRole::Connect,
                                            .address = ip("127.0.0.1"),
                                            .send = Bytes::max(),
                                            .send_for = 50ms,
                                            .pace = 80_Mbps});
  ASSERT_TRUE(client) << client.error().text;
  const auto sent = (*client)->wait();
  const auto served = (*server)->wait();
  ASSERT_TRUE(sent) << sent.error().text;
  ASSERT_TRUE(served) << served.error().text;
  EXPECT_GE(sent->elapsed, 50ms);
  EXPECT_GT(sent->sent, 0_B);
  EXPECT_EQ(served->received, sent->sent);
}

TEST_F(KernelPeerTest, errors_come_back_in_words) {
  const auto elsewhere = KernelPeer::start(*space_, {.address = ip("10.99.0.1")});
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().text,
            "listen on 10.99.0.1 port 5001: Cannot assign requested address");
  const auto unknown = KernelPeer::start(*space_, {.congestion = "carrier-pigeon"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().text,
            "set congestion control 'carrier-pigeon': No such file or directory");
  auto refused =
      KernelPeer::start(*space_, {.role = PeerRole::Connect, .address = ip("127.0.0.1")});
  ASSERT_TRUE(refused) << refused.error().text;
  const auto report = (*refused)->wait();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().text, "kernel peer: connect to 127.0.0.1 port 5001: Connection refused");
}

TEST_F(KernelPeerTest, stopped_peer_reports_at_once_and_killed_one_is_an_error) {
  auto loop = MUST(RealLoop::make());  // A test process has descriptors left.
  auto stopped = MUST(KernelPeer::start(*space_, {.port = 5002}));  // Nothing else uses the ports.
  auto killed = MUST(KernelPeer::start(*space_, {.port = 5003}));
  std::vector<std::string> said;
  ASSERT_TRUE(stopped->watch(*loop, [&](Result<PeerReport> report) {
    said.push_back(report ? fmt::format("{} bytes", report->received.count())
                          : report.error().text);
  }));
  ASSERT_TRUE(killed->watch(*loop, [&](Result<PeerReport> report) {
    said.push_back(report ? "a report" : report.error().text);
  }));
  Timer stop(*loop, [&] { stopped->stop(); });
  Timer kill(*loop, [&] { killed->child().kill(SIGKILL); });
  stop.arm(loop->now() + 50ms);
  kill.arm(loop->now() + 300ms);
  EXPECT_TRUE(loop->run());
  EXPECT_EQ(said, (std::vector<std::string>{
                      "0 bytes", "kernel peer: killed by signal 9 (Killed) and no report"}));
}

TEST_F(KernelPeerTest, a_stop_that_comes_before_all_else_gets_a_report_too) {
  for (int i = 0; i < 10; ++i) {
    auto peer = MUST(KernelPeer::start(*space_, {.port = 5004}));  // Nothing else uses the port.
    peer->stop();
    const auto report = peer->wait();
    ASSERT_TRUE(report) << report.error().text;
    EXPECT_EQ(report->received, Bytes(0));
  }
}

// --- two kernels with nothing but two of our interfaces between them ---

class Crossover final : public net::FrameSink {
 public:
  explicit Crossover(net::Interface& to) : to_(to) {}
  void accept(net::Frame&& frame) override {
    for (const net::Packet* packet : frame.packets()) {
      largest = std::max(largest, packet->size());
      open_checksums += packet->checksum == net::Checksum::Needed;
    }
    to_.transmit(std::move(frame));
  }
  uint32_t largest = 0;
  uint64_t open_checksums = 0;

 private:
  net::Interface& to_;
};

class BetweenKernelsTest : public testing::TestWithParam<Offload> {
 protected:
  struct Side {
    std::unique_ptr<Netns> space;
    std::unique_ptr<TapInterface> tap;
  };
  void SetUp() override {
    if (auto can = can_use_tap(); !can) GTEST_SKIP() << "needs a TAP device: " << can.error().text;
    loop_ = MUST(RealLoop::make());  // Just tried, all of it.
    left_ = make_side("10.8.0.1/24", "2001:db8:8::1/64");
    right_ = make_side("10.8.0.2/24", "2001:db8:8::2/64");
    to_left_ = std::make_unique<Crossover>(*left_.tap);
    to_right_ = std::make_unique<Crossover>(*right_.tap);
    left_.tap->attach(to_right_.get());
    right_.tap->attach(to_left_.get());
  }
  Side make_side(const char* ip4, const char* ip6) {
    Side side;
    side.space = std::make_unique<Netns>(MUST(Netns::make()));
    side.tap = MUST(
        TapInterface::open({.device = "tap0", .offload = GetParam()}, *side.space, *loop_, pool_));
    Rtnetlink kernel = MUST(side.space->netlink());
    MUST(kernel.add_address("tap0", MUST(net::parse_prefix(ip4))));
    MUST(kernel.add_address("tap0", MUST(net::parse_prefix(ip6))));
    MUST(kernel.set_up("tap0"));
    return side;
  }

  std::unique_ptr<RealLoop> loop_;
  net::PacketPool pool_;
  Side left_, right_;
  std::unique_ptr<Crossover> to_left_, to_right_;
};

INSTANTIATE_TEST_SUITE_P(Offloads, BetweenKernelsTest,
                         testing::Values(Offload::None, Offload::Join, Offload::ChecksumAndTso),
                         [](const auto& of) {
                           return of.param == Offload::None   ? "none"
                                  : of.param == Offload::Join ? "join"
                                                              : "checksum_and_tso";
                         });

TEST_P(BetweenKernelsTest, bulk_tcp_arrives_whole_over_both_versions) {
  for (const char* address : {"10.8.0.2", "2001:db8:8::2"}) {
    auto server = KernelPeer::start(*right_.space, {.congestion = "cubic"});
    ASSERT_TRUE(server) << server.error().text;
    auto client = KernelPeer::start(
        *left_.space,
        {.role = PeerRole::Connect, .address = ip(address), .send = 20_MiB, .congestion = "cubic"});
    ASSERT_TRUE(client) << client.error().text;
    std::optional<Result<PeerReport>> served;
    ASSERT_TRUE((*server)->watch(*loop_, [&](Result<PeerReport> report) {
      served = std::move(report);
      loop_->stop();
    }));
    EXPECT_FALSE(loop_->run_for(60s)) << "nothing arrived";
    ASSERT_TRUE(served && *served) << (served ? served->error().text : "no report");
    EXPECT_EQ((*served)->received, 20_MiB);
    EXPECT_TRUE((*served)->is_intact());
  }
  if (GetParam() != Offload::ChecksumAndTso) {
    EXPECT_EQ(to_right_->open_checksums, 0u);
    EXPECT_LE(to_right_->largest, 1514u);
  } else {
    EXPECT_GT(to_right_->open_checksums, 0u);
    EXPECT_GT(to_right_->largest, 10000u);
  }
  EXPECT_EQ(left_.tap->device_counters().rx_bad_header, 0u);
  EXPECT_EQ(right_.tap->device_counters().tx_cannot, 0u);
}

}  // namespace
}  // namespace wh::host
