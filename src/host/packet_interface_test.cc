// Two kernels that talk TCP through two packet interfaces and nothing else:
//
//   left netns: e0b --veth-- e0a : PacketInterface <-> PacketInterface : e1a --veth-- e1b : right
//
// What they send each other arrives whole, whichever offloads the four ends have.
#include "host/packet_interface.h"

#include <gtest/gtest.h>

#include "host/capabilities.h"
#include "host/kernel_peer.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"

namespace wh::host {
namespace {

class Across final : public net::FrameSink {
 public:
  explicit Across(net::Interface& to) : to_(to) {}
  void accept(net::Frame&& frame) override {
    for (const net::Packet* p : frame.packets()) largest = std::max(largest, p->size());
    to_.transmit(std::move(frame));
  }
  uint32_t largest = 0;

 private:
  net::Interface& to_;
};

class PacketInterfaceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (auto can = can_make_netns(); !can) {
      GTEST_SKIP() << "needs a network namespace: " << can.error().text;
    }
    middle_ = std::make_unique<Netns>(MUST(Netns::make()));  // Just tried; as those below.
    left_ = std::make_unique<Netns>(MUST(middle_->make_beside()));
    right_ = std::make_unique<Netns>(MUST(middle_->make_beside()));
    auto kernel = MUST(middle_->netlink());
    for (const auto& [near, far, space, address] :
         {std::tuple("e0a", "e0b", left_.get(), "10.0.0.1/24"),
          std::tuple("e1a", "e1b", right_.get(), "10.0.0.2/24")}) {
      if (auto made = kernel.add_veth(near, far, space->fd()); !made) {
        GTEST_SKIP() << "needs veth: " << made.error().text;
      }
      MUST(middle_->set_sysctl(fmt::format("net.ipv6.conf.{}.disable_ipv6", near), "1"));
      auto there = MUST(space->netlink());
      MUST(there.add_address(far, MUST(net::parse_prefix(address))));
      MUST(there.set_up(far));
    }
  }
  using Receive = PacketInterface::Receive;
  std::unique_ptr<PacketInterface> open(const char* link, Receive receive = Receive::All) {
    auto made = PacketInterface::open({.link = link, .receive = receive}, *middle_, *loop_, pool_);
    EXPECT_TRUE(made) << made.error().text;
    return made ? std::move(*made) : nullptr;
  }
  void set_offloads(Netns& space, const char* link, bool on) {
    auto kernel = MUST(space.netlink());
    MUST(kernel.set_offloads(link, on));
  }
  // Runs a transfer each way through `a` and `b`; returns the larger frames of the two ways.
  uint32_t transfer(PacketInterface& a, PacketInterface& b) { return transfer(a, b, a, b); }
  // The same, sent by others than those that receive.
  uint32_t transfer(PacketInterface& a, PacketInterface& b, PacketInterface& out_a,
                    PacketInterface& out_b) {
    Across to_b(out_b), to_a(out_a);
    a.attach(&to_b);
    b.attach(&to_a);
    auto server = MUST(KernelPeer::start(*right_, {.send = 1_MiB}));  // Nothing else listens.
    auto client = MUST(KernelPeer::start(
        *left_,
        {.role = PeerRole::Connect, .address = MUST(net::parse_ip("10.0.0.2")), .send = 2_MiB}));
    int done = 0;
    auto take = [&](Result<PeerReport> report) {
      EXPECT_TRUE(report) << report.error().text;
      if (report) {
        EXPECT_TRUE(report->is_intact());
        received_ += report->received.count();
      }
      if (++done == 2) loop_->stop();
    };
    MUST(server->watch(*loop_, take));
    MUST(client->watch(*loop_, take));
    loop_->run_for(20s);
    EXPECT_EQ(done, 2);
    a.attach(nullptr);
    b.attach(nullptr);
    return std::max(to_a.largest, to_b.largest);
  }
  static std::unique_ptr<RealLoop> make_loop() {
    return MUST(RealLoop::make());  // Descriptors are left.
  }
  std::unique_ptr<RealLoop> loop_ = make_loop();
  net::PacketPool pool_;
  std::unique_ptr<Netns> middle_, left_, right_;
  int64_t received_ = 0;
};

TEST_F(PacketInterfaceTest, carries_every_byte_under_any_combination_of_offloads) {
  for (const unsigned combination : {0b1111u, 0b0000u, 0b0101u, 0b1010u, 0b0011u, 0b1100u}) {
    SCOPED_TRACE(fmt::format("offloads {:04b}", combination));
    set_offloads(*left_, "e0b", (combination & 1) != 0);
    set_offloads(*middle_, "e0a", (combination & 2) != 0);
    set_offloads(*middle_, "e1a", (combination & 4) != 0);
    set_offloads(*right_, "e1b", (combination & 8) != 0);
    auto a = open("e0a"), b = open("e1a");
    ASSERT_TRUE(a != nullptr && b != nullptr);
    received_ = 0;
    const uint32_t largest = transfer(*a, *b);
    EXPECT_EQ(received_, 3 << 20);
    if (combination == 0b1111) {
      EXPECT_GT(largest, 1514u);
    }
    if (combination == 0b0000) {
      EXPECT_LE(largest, 1514u);
    }
    for (const auto* i : {a.get(), b.get()}) {
      const DeviceCounters& c = i->device_counters();
      EXPECT_EQ(c.tx_cannot + c.rx_bad_header + c.rx_no_packet, 0u);
    }
  }
}

// As the main thread sends beside its workers, who receive: whole segments too.
TEST_F(PacketInterfaceTest, one_that_receives_nothing_sends_whole_segments) {
  for (const bool cuts : {true, false}) {
    set_offloads(*middle_, "e0a", cuts);
    set_offloads(*middle_, "e1a", cuts);
    auto a = open("e0a"), b = open("e1a");
    auto out_a = open("e0a", Receive::None), out_b = open("e1a", Receive::None);
    ASSERT_TRUE(a && b && out_a && out_b);
    received_ = 0;
    EXPECT_GT(transfer(*a, *b, *out_a, *out_b), 1514u);
    EXPECT_EQ(received_, 3 << 20);
    for (const auto* i : {out_a.get(), out_b.get()}) {
      EXPECT_GT(i->counters().tx_packets, 0u);
      EXPECT_EQ(i->device_counters().tx_refused, 0u);
      EXPECT_EQ(i->counters().rx_packets, 0u);
    }
  }
}

// The MTU that is set is of what leaves.
TEST_F(PacketInterfaceTest, receives_what_the_link_carries_however_small_its_mtu_is_set) {
  class Sizes final : public net::FrameSink {
   public:
    void accept(net::Frame&& frame) override {
      for (const net::Packet* p : frame.packets()) full += p->size() == 1514;
    }
    int full = 0;
  } sizes;
  auto near = open("e0a");
  auto far = MUST(PacketInterface::open({.link = "e0b"}, *left_, *loop_, pool_));
  ASSERT_TRUE(near);
  near->attach(&sizes);
  near->set_mtu(600);
  net::PacketPtr packet = pool_.allocate();
  packet->assign(std::vector<uint8_t>(1514));
  net::Frame frame;
  frame.push(std::move(packet));
  far->transmit(std::move(frame));
  loop_->run_for(20ms);
  EXPECT_EQ(sizes.full, 1);
  EXPECT_EQ(near->device_counters().rx_too_long, 0u);
  near->attach(nullptr);
}

// The kernel takes the tag off, and says where the checksum is in what is left.
TEST_F(PacketInterfaceTest, open_checksum_of_a_tagged_frame_stays_open) {
  class Tagged final : public net::FrameSink {
   public:
    void accept(net::Frame&& frame) override {
      for (const net::Packet* p : frame.packets()) {
        if (net::load16(p->data() + 12) != 0x8100) continue;
        ++seen;
        checksum = p->checksum;
        field = net::load16(p->data() + 38 + 16);
      }
    }
    int seen = 0;
    net::Checksum checksum{};
    uint16_t field = 0;
  } tagged;
  auto near = open("e0a");
  auto far = MUST(PacketInterface::open({.link = "e0b"}, *left_, *loop_, pool_));
  ASSERT_TRUE(near);
  near->attach(&tagged);
  net::PacketPtr packet = pool_.allocate();
  net::EthernetHeader ethernet{.type = net::EtherType::Ip4, .tag_count = 1};
  ethernet.tags[0].tci = 7;
  ethernet.emit({packet->append(18), 18});
  net::Ip4Header ip{.protocol = 6, .total_length = 140};
  ip.emit({packet->append(20), 20});
  uint8_t* tcp = packet->append(120);
  std::memset(tcp, 0, 120);
  tcp[12] = 0x50;
  net::store16(tcp + 16, 0x1234);
  packet->checksum = net::Checksum::Needed;
  net::Frame frame;
  frame.push(std::move(packet));
  far->transmit(std::move(frame));
  loop_->run_for(20ms);
  EXPECT_EQ(tagged.seen, 1);
  EXPECT_EQ(tagged.checksum, net::Checksum::Needed);
  EXPECT_EQ(tagged.field, 0x1234);
  near->attach(nullptr);
}

TEST_F(PacketInterfaceTest, has_a_mac_address_of_its_own_and_the_links_mtu) {
  auto kernel = MUST(middle_->netlink());
  MUST(kernel.set_mtu("e0a", 1400));
  auto a = open("e0a"), again = open("e0a");
  ASSERT_TRUE(a != nullptr && again != nullptr);
  EXPECT_EQ(a->mtu(), 1400u);
  EXPECT_EQ(a->name(), "e0a");
  const auto link = MUST(kernel.link("e0a"));
  EXPECT_NE(a->mac(), link.mac);
  EXPECT_EQ(a->mac(), again->mac());
  EXPECT_EQ(a->mac(), own_mac(link.mac));
}

TEST_F(PacketInterfaceTest, link_that_goes_down_comes_back_and_one_that_is_removed_does_not) {
  auto a = open("e0a"), b = open("e1a");
  ASSERT_TRUE(a != nullptr && b != nullptr);
  auto kernel = MUST(middle_->netlink());
  MUST(kernel.set_up("e0a", false));
  loop_->run_for(20ms);
  EXPECT_TRUE(a->is_open());
  MUST(kernel.set_up("e0a", true));
  loop_->run_for(20ms);
  transfer(*a, *b);
  EXPECT_EQ(received_, 3 << 20);
  auto sender = open("e0a", Receive::None);
  bool told = false;
  a->on_close([&] { told = true; });
  MUST(kernel.delete_link("e0a"));
  loop_->run_for(20ms);
  EXPECT_TRUE(told);
  EXPECT_FALSE(a->is_open());
  EXPECT_FALSE(sender->is_open());
  net::Frame frame;
  frame.push(pool_.allocate());
  a->transmit(std::move(frame));
  EXPECT_EQ(a->device_counters().tx_refused, 1u);
}

TEST_F(PacketInterfaceTest, follows_its_links_mtu_and_carrier) {
  auto a = open("e0a"), b = open("e1a");
  ASSERT_TRUE(a != nullptr && b != nullptr);
  int changes = 0;
  a->on_link_change([&] { ++changes; });
  auto near = MUST(middle_->netlink()), far = MUST(left_->netlink());
  const auto wait_for = [&](auto holds) {
    for (int i = 0; i < 500 && !holds(); ++i) loop_->run_for(2ms);
    EXPECT_TRUE(holds());
  };
  wait_for([&] { return a->has_carrier(); });
  MUST(far.set_up("e0b", false));
  wait_for([&] { return !a->has_carrier(); });
  EXPECT_TRUE(b->has_carrier());
  MUST(far.set_up("e0b", true));
  wait_for([&] { return a->has_carrier(); });
  MUST(near.set_mtu("e0a", 1200));
  wait_for([&] { return changes >= 3; });
  EXPECT_EQ(a->mtu(), 1200u);
  EXPECT_EQ(a->link_mtu(), 1200u);
  // Frames of a larger MTU are longer than the slots of the ring, and come all the same.
  for (const auto& [space, link] : {std::pair(middle_.get(), "e0a"),
                                    {left_.get(), "e0b"},
                                    {middle_.get(), "e1a"},
                                    {right_.get(), "e1b"}}) {
    MUST(MUST(space->netlink()).set_mtu(link, 4000));
    set_offloads(*space, link, false);
  }
  wait_for([&] { return a->link_mtu() == 4000 && b->link_mtu() == 4000; });
  a->set_mtu(4000), b->set_mtu(4000);
  EXPECT_EQ(transfer(*a, *b), 4014u);
  EXPECT_EQ(received_, 3 << 20);
}

TEST_F(PacketInterfaceTest, link_that_is_not_there_is_an_error) {
  const auto made = PacketInterface::open({.link = "nonesuch"}, *middle_, *loop_, pool_);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().text.find("nonesuch"), std::string::npos) << made.error().text;
}

}  // namespace
}  // namespace wh::host
