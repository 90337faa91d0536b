// Workers: each forwards what its queue of an interface gets, leaves the rest to the main thread,
// and does what commands and discoveries say.
//
// An interface's queues are socket pairs, one a thread; the test holds the far ends, and so says
// which worker gets a frame and sees which thread sent one.
#include "router/workers.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "host/output_file.h"
#include "host/system.h"
#include "host/tap.h"
#include "router/reports.h"
#include "vnet/stack.h"
#include "vnet/test_packets.h"

namespace wh::router {
namespace {

using net::EtherType;
using net::Ip4;
using net::MacAddress;
using vnet::Octets;

constexpr uint32_t kWorkers = 2, kThreads = kWorkers + 1;
const MacAddress kRouterA = MacAddress::local(1), kRouterB = MacAddress::local(2);
const MacAddress kHostA = MacAddress::local(11), kHostB = MacAddress::local(12);
const Ip4 kA = Ip4::of(10, 1, 0, 2), kB = Ip4::of(10, 2, 0, 2);

struct Queue {
  host::Fd near, far;
};

class QueuePorts final : public Ports {
 public:
  QueuePorts(std::map<std::string, Queue>& queues, host::RealLoop& loop)
      : queues_(queues), loop_(loop) {}
  Result<std::unique_ptr<net::Interface>> open(const PortSpec& spec,
                                               net::PacketPool& pool) override {
    const auto config = TRY(describe(spec));
    return host::TapInterface::adopt(std::move(queues_.at(spec.link).near),
                                     {.device = spec.link, .name = config.name, .mac = config.mac},
                                     loop_, pool);
  }
  Result<net::Interface::Config> describe(const PortSpec& spec) override {
    return net::Interface::Config{.name = spec.name(),
                                  .mac = spec.link == "a" ? kRouterA : kRouterB};
  }

 private:
  std::map<std::string, Queue>& queues_;
  host::RealLoop& loop_;
};

class WorkersTest : public testing::Test {
 protected:
  void SetUp() override {
    for (auto& of_thread : queues_) {
      for (const char* link : {"a", "b"}) {
        auto [near, far] = MUST(host::make_socket_pair(SOCK_SEQPACKET | SOCK_NONBLOCK));
        of_thread[link] = {std::move(near), std::move(far)};
      }
    }
    ports_ = std::make_unique<QueuePorts>(queues_[0], *loop_);
    router_ = std::make_unique<Router>(Router::Config{}, *loop_, *ports_);
    line_ = std::make_unique<CommandLine>(*router_);
    workers_ = MUST(Workers::start(
        {.count = kWorkers,
         .ports = [this](uint32_t thread, host::RealLoop& loop) -> std::unique_ptr<Ports> {
           return std::make_unique<QueuePorts>(queues_[thread], loop);
         }},
        *line_, *loop_));
    for (const char* command : {"create host-interface name a", "create host-interface name b",
                                "set interface ip address host-a 10.1.0.1/24",
                                "set interface ip address host-b 10.2.0.1/24",
                                "set interface state host-a up", "set interface state host-b up"}) {
      run(command);
    }
  }
  void run(const std::string& command) {
    const auto done = line_->run(command);
    EXPECT_TRUE(done) << command << ": " << done.error().text;
  }
  int far(uint32_t thread, const char* link) { return queues_[thread].at(link).far.raw(); }

  void put(uint32_t thread, const char* link, const Octets& frame) {
    ASSERT_EQ(::send(far(thread, link), frame.data(), frame.size(), 0),
              static_cast<ssize_t>(frame.size()));
  }
  // The next frame of a type that a thread sends by a link, with the main loop running meanwhile.
  Octets get(uint32_t thread, const char* link, EtherType type) {
    for (int round = 0; round < 10'000; ++round) {
      loop_->run_for(1ms);
      Octets frame(2048);
      const ssize_t n = ::recv(far(thread, link), frame.data(), frame.size(), MSG_DONTWAIT);
      if (n < 14 || net::load16(frame.data() + 12) != static_cast<uint16_t>(type)) continue;
      frame.resize(static_cast<size_t>(n));
      return frame;
    }
    ADD_FAILURE() << "nothing came from thread " << thread << " by " << link;
    return Octets(60);
  }
  static Octets datagram(Ip4 from, Ip4 to, uint16_t port = 53) {
    return vnet::ethernet(
        kRouterA, kHostA, EtherType::Ip4,
        vnet::ip4({.source = from, .destination = to, .protocol = net::kProtocolUdp},
                  vnet::udp(port, 53)));
  }
  static Octets arp(const MacAddress& to, net::ArpPacket packet) {
    Octets bytes(net::ArpPacket::kSize);
    packet.emit(bytes);
    return vnet::ethernet(to, packet.sender_mac, EtherType::Arp, bytes);
  }
  void teach_neighbour_b() { run("set ip neighbor host-b 10.2.0.2 " + to_string(kHostB)); }
  uint64_t counter(const std::string& name, const std::string& which) {
    for (const auto& row : interface_report(*router_)) {
      if (row.name != name) continue;
      for (const auto& [counter, value] : row.counters) {
        if (counter == which) return value;
      }
    }
    return 0;
  }

  std::array<std::map<std::string, Queue>, kThreads> queues_;
  static std::unique_ptr<host::RealLoop> make_loop() {
    return MUST(host::RealLoop::make());  // Descriptors are left.
  }
  std::unique_ptr<host::RealLoop> loop_ = make_loop();
  std::unique_ptr<QueuePorts> ports_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<CommandLine> line_;
  std::unique_ptr<Workers> workers_;
};

TEST_F(WorkersTest, leave_what_is_for_the_router_to_the_main_thread) {
  put(1, "a",
      arp(MacAddress::broadcast(),
          {net::ArpOperation::Request, kHostA, kA, {}, Ip4::of(10, 1, 0, 1)}));
  const Octets reply = get(0, "a", EtherType::Arp);
  EXPECT_EQ(std::memcmp(reply.data(), kHostA.bytes.data(), 6), 0);
  put(2, "a",
      vnet::ethernet(
          kRouterA, kHostA, EtherType::Ip4,
          vnet::ip4(
              {.source = kA, .destination = Ip4::of(10, 1, 0, 1), .protocol = net::kProtocolIcmp},
              vnet::echo4(1, 1))));
  const Octets echo = get(0, "a", EtherType::Ip4);
  EXPECT_EQ(echo[34], 0);  // An echo reply.
}

// The next interface has the number of one that was deleted, and none of its packets.
TEST_F(WorkersTest, leave_nothing_of_an_interface_that_was_deleted_to_the_next) {
  put(1, "a",
      arp(MacAddress::broadcast(),
          {net::ArpOperation::Request, kHostA, kA, {}, Ip4::of(10, 1, 0, 1)}));
  std::this_thread::sleep_for(100ms);  // The worker has left it, and the main thread not seen it.
  const uint16_t index = MUST(router_->index_of("host-a"));
  for (const char* command :
       {"delete host-interface name a", "create loopback interface instance 7",
        "set interface state loop7 up", "set interface ip address loop7 10.1.0.1/24"}) {
    run(command);
  }
  EXPECT_EQ(MUST(router_->index_of("loop7")), index);
  loop_->run_for(50ms);
  EXPECT_EQ(router_->vnet().stack().arp->find(index, kA), nullptr);
}

TEST_F(WorkersTest, forward_by_themselves_once_the_main_thread_knows_the_neighbour) {
  put(1, "a", datagram(kA, kB));
  const Octets question = get(0, "b", EtherType::Arp);
  EXPECT_EQ(net::load32(question.data() + 38), kB.value);
  // The answer comes to another worker than the packet that waits.
  put(2, "b",
      arp(kRouterB, {net::ArpOperation::Reply, kHostB, kB, kRouterB, Ip4::of(10, 2, 0, 1)}));
  get(0, "b", EtherType::Ip4);
  for (const uint32_t worker : {1u, 2u}) {
    put(worker, "a", datagram(kA, kB));
    const Octets sent = get(worker, "b", EtherType::Ip4);
    EXPECT_EQ(std::memcmp(sent.data(), kHostB.bytes.data(), 6), 0);
    EXPECT_EQ(sent[22], 63);  // Its TTL.
  }
  // All of it, whoever counted it: three datagrams and an answer.
  EXPECT_EQ(counter("host-a", "rx packets"), 3u);
  EXPECT_EQ(counter("host-b", "rx packets"), 1u);
  const auto report = runtime_report(*router_);
  const auto row = std::find_if(report.rows.begin(), report.rows.end(),
                                [](const auto& r) { return r.name == "ip4-rewrite"; });
  ASSERT_NE(row, report.rows.end());
  EXPECT_EQ(row->vectors, 3u);
  const vnet::FibReport route = fib_report(*router_, kB, 0);
  ASSERT_EQ(route.rows.size(), 1u);
  EXPECT_EQ(route.rows[0].packets, 3u);
  const vnet::FibReport table = fib_report(*router_, net::Family::V4, 0);
  const auto same = std::find_if(table.rows.begin(), table.rows.end(),
                                 [&](const auto& r) { return r.prefix == route.rows[0].prefix; });
  ASSERT_NE(same, table.rows.end());
  EXPECT_EQ(same->packets, 3u);
  const auto leaf = sysctl_report(*router_, "net.link.generic.ifdata.host-a.rx_packets");
  ASSERT_TRUE(leaf.has_value());
  ASSERT_EQ(leaf->size(), 1u);
  EXPECT_EQ(leaf->front().value, "3");
}

// One file of what all threads saw, in the order in which they did, and no more than was asked for.
TEST_F(WorkersTest, write_one_capture_together) {
  const std::string path = testing::TempDir() + "workers.pcap";
  teach_neighbour_b();
  for (const size_t most : {1000u, 5u}) {
    run(fmt::format("pcap trace rx tx max {} file {}", most, path));
    for (const uint32_t worker : {1u, 2u, 1u}) {
      put(worker, "a", datagram(kA, kB, static_cast<uint16_t>(1000 + worker)));
      get(worker, "b", EtherType::Ip4);
    }
    put(2, "a",
        arp(MacAddress::broadcast(),
            {net::ArpOperation::Request, kHostA, kA, {}, Ip4::of(10, 1, 0, 1)}));
    get(0, "a", EtherType::Arp);
    const size_t all = std::min<size_t>(8, most);  // The answer goes out by the main thread.
    EXPECT_EQ(MUST(line_->run("show pcap trace")).text(),
              fmt::format("pcap trace to {}: {} packets\n", path, all));
    EXPECT_EQ(MUST(line_->run("pcap trace off")).text(),
              fmt::format("Write {} packets to {}, and stop capture...\n", all, path));
    const auto packets = MUST(net::read_capture(path));
    ASSERT_EQ(packets.size(), all);
    EXPECT_TRUE(std::is_sorted(packets.begin(), packets.end(),
                               [](const auto& x, const auto& y) { return x.when < y.when; }));
    for (const char* part : {".0", ".1", ".2"}) {
      EXPECT_FALSE(std::filesystem::exists(path + part)) << part;
    }
  }
  EXPECT_EQ(line_->run("pcap trace off").error().text, "no pcap trace is going on");
  run("pcap trace rx file " + path);  // All of them have ended.
  run("pcap trace off");
}

TEST_F(WorkersTest, tell_the_main_thread_that_a_neighbour_is_used) {
  put(1, "a", datagram(kA, kB));
  get(0, "b", EtherType::Arp);
  run("set sysctl net.link.ether.inet.max_age 1");
  put(2, "b",
      arp(kRouterB, {net::ArpOperation::Reply, kHostB, kB, kRouterB, Ip4::of(10, 2, 0, 1)}));
  get(0, "b", EtherType::Ip4);
  put(1, "a", datagram(kA, kB));
  get(1, "b", EtherType::Ip4);
  // Its age is up, and it is asked for again, though the main thread sent nothing to it since.
  const Octets probe = get(0, "b", EtherType::Arp);
  EXPECT_EQ(std::memcmp(probe.data(), kHostB.bytes.data(), 6), 0);
}

TEST_F(WorkersTest, see_a_route_when_its_command_has_answered) {
  teach_neighbour_b();
  using Clock = std::chrono::steady_clock;
  auto least = Clock::duration::max();
  for (int round = 0; round < 50; ++round) {
    for (const uint32_t worker : {1u, 2u}) {
      const auto before = Clock::now();
      run("ip route add 10.9.0.0/16 via 10.2.0.2");
      least = std::min(least, Clock::now() - before);
      put(worker, "a", datagram(kA, Ip4::of(10, 9, 1, 1)));
      get(worker, "b", EtherType::Ip4);
      run("ip route del 10.9.0.0/16");
    }
  }
  // What it takes when no other work keeps the machine: the goal is a millisecond.
  EXPECT_LT(least, 1ms);
}

TEST_F(WorkersTest, get_the_routes_of_a_file_and_count_what_rules_match_together) {
  teach_neighbour_b();
  const std::string path = testing::TempDir() + "worker_routes.txt";
  auto file = MUST(host::OutputFile::create(path));  // A test's folder can be written.
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    text += fmt::format("20.{}.{}.0/24 via 10.2.0.2\n", i / 256, i % 256);
  }
  MUST(file.finish(text));
  std::string said;
  auto activity = line_->execute(
      "ip route load " + path,
      {[](std::string_view) {}, [&](Result<Answer> r) { said = r ? r->text() : r.error().text; }});
  for (int round = 0; round < 10'000 && said.empty(); ++round) loop_->run_for(1ms);
  EXPECT_EQ(said, path + ": 3000 routes\n");
  activity.reset();
  run("set acl-plugin acl deny src 10.3.0.0/16, permit");
  run("set acl-plugin interface host-a input acl 0");
  for (const uint32_t worker : {1u, 2u}) {
    put(worker, "a", datagram(kA, Ip4::of(20, 11, 183, 9)));
    get(worker, "b", EtherType::Ip4);
  }
  EXPECT_EQ(acl_hits(*router_).at(0), (std::vector<uint64_t>{0, 2}));
}

TEST_F(WorkersTest, leave_all_packets_to_the_main_thread_while_flows_have_state) {
  teach_neighbour_b();
  put(1, "a", datagram(kA, kB));
  get(1, "b", EtherType::Ip4);
  const auto reflect = [](Router& r) {
    MUST(r.vnet().acls().add({{.action = vnet::AclAction::Reflect}}));  // The rule is sound.
  };
  reflect(*router_);
  workers_->each(reflect);
  put(1, "a", datagram(kA, kB));
  get(0, "b", EtherType::Ip4);
  const auto forget = [](Router& r) { MUST(r.vnet().acls().remove(0)); };
  forget(*router_);
  workers_->each(forget);
  put(2, "a", datagram(kA, kB));
  get(2, "b", EtherType::Ip4);
}

// Both workers forward while routes and neighbours change: nothing is lost, and no flow is
// reordered.
TEST_F(WorkersTest, forward_while_tables_change) {
  constexpr uint32_t kPackets = 4000;
  teach_neighbour_b();
  std::atomic<uint32_t> arrived{0}, disordered{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint32_t worker = 1; worker <= kWorkers; ++worker) {
    threads.emplace_back([&, worker] {  // The host behind b.
      uint16_t last = 0;
      pollfd ready{far(worker, "b"), POLLIN, 0};
      while (!stop) {
        if (::poll(&ready, 1, 10) <= 0) continue;
        Octets frame(2048);
        const ssize_t n = ::recv(ready.fd, frame.data(), frame.size(), MSG_DONTWAIT);
        if (n < 44 || net::load16(frame.data() + 12) != 0x0800) continue;
        const uint16_t number = net::load16(frame.data() + 34);
        disordered += number < last;
        last = number;
        ++arrived;
      }
    });
    threads.emplace_back([&, worker] {  // The host behind a.
      for (uint32_t i = 0; i < kPackets; ++i) {
        // No further ahead than what the queue behind b holds.
        while (!stop && i * kWorkers > arrived + 64) std::this_thread::yield();
        const Octets frame = datagram(kA, kB, static_cast<uint16_t>(i));
        while (!stop && ::send(far(worker, "a"), frame.data(), frame.size(), MSG_DONTWAIT) < 0) {
          std::this_thread::yield();
        }
      }
    });
  }
  const auto deadline = loop_->clock() + 60s;
  for (uint32_t i = 0; arrived < kWorkers * kPackets && loop_->clock() < deadline; ++i) {
    run(fmt::format("ip route add 10.{}.0.0/16 via 10.2.0.2", 20 + i % 100));
    run(fmt::format("set ip neighbor host-a 10.1.0.{} 02:00:00:00:00:77", 10 + i % 100));
    loop_->run_for(1ms);
    run(fmt::format("ip route del 10.{}.0.0/16", 20 + i % 100));
    EXPECT_LE(counter("host-b", "tx packets"), kWorkers * kPackets);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(arrived, kWorkers * kPackets);
  EXPECT_EQ(disordered, 0u);
}

}  // namespace
}  // namespace wh::router
