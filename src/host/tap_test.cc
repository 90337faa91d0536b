#include "host/tap.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <numeric>

#include "core/random.h"
#include "host/capabilities.h"
#include "host/system.h"
#include "net/checksum.h"
#include "net/wire/arp.h"
#include "net/wire/ethernet.h"
#include "net/wire/icmp.h"
#include "net/wire/icmp6.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"

namespace wh::host {
namespace {

using Octets = std::vector<uint8_t>;

// Keeps what an interface received.
class Collector final : public net::FrameSink {
 public:
  void accept(net::Frame&& frame) override {
    ++frames;
    for (uint32_t i = 0; i < frame.size(); ++i) packets.push_back(frame.take(i));
  }
  std::vector<net::PacketPtr> packets;
  int frames = 0;
};

Octets bytes_of(const net::Packet& packet) {
  Octets bytes(packet.size());
  packet.copy_out(0, bytes);
  return bytes;
}

// `size` bytes that count up, of no type known.
Octets pattern(size_t size) {
  Octets bytes(size);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  return bytes;
}

// --- a socket in the device's place: no privilege needed ---

class TapOverSocketTest : public testing::Test {
 protected:
  void SetUp() override { open({.device = "socket", .mtu = 1500, .queue_limit = 8}); }
  void open(TapInterface::Options options, size_t pool_limit = 1000) {
    close();
    // A test process has descriptors left.
    loop_ = MUST(RealLoop::make());
    pool_ = std::make_unique<net::PacketPool>(pool_limit);
    auto [near, far] = MUST(make_socket_pair(SOCK_SEQPACKET | SOCK_NONBLOCK));
    far_ = std::move(far);
    tap_ = MUST(TapInterface::adopt(std::move(near), options, *loop_, *pool_));
    tap_->attach(&input_);
  }
  void close() {
    input_.packets.clear();
    tap_.reset();
    loop_.reset();
  }
  void TearDown() override { close(); }
  bool put(const Octets& bytes) {
    return ::send(far_.raw(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
  }
  Octets get() {
    Octets bytes(70000);
    const ssize_t n = ::recv(far_.raw(), bytes.data(), bytes.size(), 0);
    bytes.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return bytes;
  }
  void transmit(const Octets& bytes) {
    net::Frame frame;
    frame.push(pool_->allocate());
    frame[0].assign(bytes);
    tap_->transmit(std::move(frame));
  }

  std::unique_ptr<RealLoop> loop_;
  std::unique_ptr<net::PacketPool> pool_;
  Collector input_;
  Fd far_;
  std::unique_ptr<TapInterface> tap_;
};

TEST_F(TapOverSocketTest, frames_of_every_size_arrive_whole_and_short_ones_in_the_head) {
  constexpr uint32_t kShort = net::Packet::kHeadCapacity - net::Packet::kHeadroom;
  for (const uint32_t size :
       {14u, 60u, 65u, 66u, 67u, kShort - 1, kShort, kShort + 1, 1514u, 1518u}) {
    ASSERT_TRUE(put(pattern(size)));
    loop_->run_for(0ms);
    ASSERT_EQ(input_.packets.size(), 1u) << size;
    const net::Packet& packet = *input_.packets[0];
    EXPECT_EQ(bytes_of(packet), pattern(size));
    EXPECT_EQ(packet.payload_size() == 0, size <= kShort) << size;
    EXPECT_EQ(packet.checksum, net::Checksum::Unknown);
    input_.packets.clear();
  }
  EXPECT_EQ(tap_->counters().rx_packets, 10u);
  EXPECT_EQ(tap_->device_counters().rx_too_long, 0u);
}

TEST_F(TapOverSocketTest, longer_than_the_mtu_allows_is_dropped_and_counted) {
  ASSERT_TRUE(put(pattern(1519)));
  ASSERT_TRUE(put(pattern(9000)));
  ASSERT_TRUE(put(pattern(60)));
  loop_->run_for(0ms);
  EXPECT_EQ(tap_->device_counters().rx_too_long, 2u);
  ASSERT_EQ(input_.packets.size(), 1u);
  EXPECT_EQ(bytes_of(*input_.packets[0]), pattern(60));
}

TEST_F(TapOverSocketTest, smaller_mtu_bounds_what_leaves_and_a_larger_one_cuts_nothing) {
  tap_->set_mtu(1400);
  ASSERT_TRUE(put(pattern(1518)));
  ASSERT_TRUE(put(pattern(1519)));
  tap_->set_mtu(9000);
  loop_->run_for(0ms);
  ASSERT_EQ(input_.packets.size(), 1u);
  EXPECT_EQ(bytes_of(*input_.packets[0]), pattern(1518));
  EXPECT_EQ(tap_->device_counters().rx_too_long, 1u);
}

TEST_F(TapOverSocketTest, checksum_without_a_place_for_it_is_refused_and_counted) {
  // A segment as another device's kernel handed it over, which sums nothing and believes anything.
  Octets frame(60);
  net::EthernetHeader{.type = net::EtherType::Ip4}.emit(frame);
  net::Ip4Header{.protocol = 6, .total_length = 46}.emit(std::span(frame).subspan(14));
  for (const uint16_t total : {uint16_t{19}, uint16_t{20}, uint16_t{35}, uint16_t{1400}}) {
    net::store16(frame.data() + 16, total);
    net::Frame batch;
    batch.push(pool_->allocate());
    batch[0].assign(frame);
    batch[0].checksum = net::Checksum::Needed;
    tap_->transmit(std::move(batch));
  }
  EXPECT_EQ(tap_->device_counters().tx_cannot, 4u);
  EXPECT_EQ(tap_->counters().tx_errors, 4u);
  EXPECT_TRUE(get().empty());
}

TEST_F(TapOverSocketTest, tcp_headers_are_in_the_head_and_payload_behind_it) {
  struct Case {
    net::Family family;
    uint32_t tcp_header;
  };
  for (const Case& c :
       {Case{net::Family::V4, 20}, Case{net::Family::V4, 32}, Case{net::Family::V4, 60},
        Case{net::Family::V6, 20}, Case{net::Family::V6, 32}, Case{net::Family::V6, 60}}) {
    const bool is_v4 = c.family == net::Family::V4;
    const uint32_t ip_header = is_v4 ? 20 : 40, headers = 14 + ip_header + c.tcp_header;
    Octets bytes = pattern(1000);
    net::EthernetHeader{.type = is_v4 ? net::EtherType::Ip4 : net::EtherType::Ip6}.emit(bytes);
    if (is_v4) {
      net::Ip4Header{.protocol = 6, .total_length = 986}.emit(std::span(bytes).subspan(14));
    } else {
      net::Ip6Header{.next_header = 6, .payload_length = 946}.emit(std::span(bytes).subspan(14));
    }
    bytes[14 + ip_header + 12] = static_cast<uint8_t>(c.tcp_header / 4 << 4);
    ASSERT_TRUE(put(bytes));
    loop_->run_for(0ms);
    ASSERT_EQ(input_.packets.size(), 1u);
    EXPECT_EQ(bytes_of(*input_.packets[0]), bytes);
    EXPECT_EQ(input_.packets[0]->head_size(), std::max(headers, is_v4 ? 66u : 86u));
    input_.packets.clear();
  }
}

TEST_F(TapOverSocketTest, many_frames_come_in_batches) {
  // A socket pair holds fewer frames than a TAP device; two are enough to see them joined.
  ASSERT_TRUE(put(pattern(60)));
  ASSERT_TRUE(put(pattern(61)));
  loop_->run_for(0ms);
  EXPECT_EQ(input_.frames, 1);
  EXPECT_EQ(input_.packets.size(), 2u);
  EXPECT_EQ(tap_->device_counters().rx_wakes, 1u);
}

TEST_F(TapOverSocketTest, exhausted_pool_drops_and_counts_and_recovers) {
  open({.device = "socket"}, 2);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(put(pattern(60)));
  loop_->run_for(0ms);
  EXPECT_EQ(input_.packets.size(), 2u);
  EXPECT_EQ(tap_->device_counters().rx_no_packet, 2u);
  input_.packets.clear();
  ASSERT_TRUE(put(pattern(60)));
  loop_->run_for(0ms);
  EXPECT_EQ(input_.packets.size(), 1u);
}

TEST_F(TapOverSocketTest, output_is_written_from_all_parts_of_a_packet) {
  net::Frame frame;
  frame.push(pool_->allocate());
  const Octets all = pattern(900);
  std::copy_n(all.begin(), 100, frame[0].append(100));
  const auto chunk = net::ChunkRef::copy_of(all);
  frame[0].append({chunk, 100, 300});
  frame[0].append({chunk, 400, 500});
  tap_->transmit(std::move(frame));
  EXPECT_EQ(get(), all);
  EXPECT_EQ(tap_->counters().tx_packets, 1u);
}

TEST_F(TapOverSocketTest, full_device_queues_then_drops_and_later_sends_in_order) {
  uint32_t sent = 0;
  while (tap_->device_counters().tx_queue_full == 0) {
    transmit(pattern(100 + sent++));
    ASSERT_LT(sent, 1400u);
  }
  EXPECT_EQ(tap_->queued(), 8u);
  EXPECT_EQ(tap_->device_counters().tx_queued, 8u);
  EXPECT_EQ(tap_->counters().tx_errors, 1u);
  uint32_t received = 0;
  for (Octets bytes = get(); !bytes.empty(); bytes = get()) {
    EXPECT_EQ(bytes, pattern(100 + received++));
    loop_->run_for(0ms);
  }
  EXPECT_EQ(received, sent - 1);
  EXPECT_EQ(tap_->queued(), 0u);
  transmit(pattern(60));
  EXPECT_EQ(get(), pattern(60));
}

TEST_F(TapOverSocketTest, open_checksum_is_completed_where_the_device_cannot) {
  Octets bytes = pattern(14 + 20 + 8 + 50);
  net::EthernetHeader{.type = net::EtherType::Ip4}.emit(bytes);
  const auto source = net::Ip4::of(10, 0, 0, 1), destination = net::Ip4::of(10, 0, 0, 2);
  net::Ip4Header{.source = source, .destination = destination, .protocol = 17, .total_length = 78}
      .emit(std::span(bytes).subspan(14));
  net::store16(&bytes[14 + 20 + 6], net::pseudo_header(source, destination, 17, 58).folded());
  net::Frame frame;
  frame.push(pool_->allocate());
  frame[0].assign(bytes);
  frame[0].checksum = net::Checksum::Needed;
  tap_->transmit(std::move(frame));
  const Octets seen = get();
  ASSERT_EQ(seen.size(), bytes.size());
  net::InternetSum sum = net::pseudo_header(source, destination, 17, 58);
  sum.add(std::span(seen).subspan(34));
  EXPECT_EQ(sum.checksum(), 0);
}

TEST_F(TapOverSocketTest, segment_to_be_cut_is_dropped_and_counted_without_offload) {
  net::Frame frame;
  frame.push(pool_->allocate());
  frame[0].assign(pattern(1000));
  frame[0].gso_size = 500;
  tap_->transmit(std::move(frame));
  EXPECT_EQ(tap_->device_counters().tx_cannot, 1u);
  EXPECT_EQ(tap_->counters().tx_errors, 1u);
  EXPECT_TRUE(get().empty());
}

TEST_F(TapOverSocketTest, closed_peer_is_noticed_and_output_refused) {
  EXPECT_TRUE(tap_->is_open());
  far_.close();
  EXPECT_TRUE(loop_->run());
  EXPECT_FALSE(tap_->is_open());
  transmit(pattern(60));
  EXPECT_EQ(tap_->device_counters().tx_refused, 1u);
}

TEST_F(TapOverSocketTest, input_loops_back_unharmed_for_random_sizes) {
  const uint64_t seed = 11;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < 2000; ++i) {
    Octets bytes(random.between(14, 1518));
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random.next());
    ASSERT_TRUE(put(bytes));
    loop_->run_for(0ms);
    ASSERT_EQ(input_.packets.size(), 1u);
    EXPECT_EQ(bytes_of(*input_.packets[0]), bytes);
    net::Frame frame;
    frame.push(std::move(input_.packets[0]));
    input_.packets.clear();
    tap_->transmit(std::move(frame));
    EXPECT_EQ(get(), bytes);
  }
}

// --- a real device in a namespace, with the kernel's stack behind it ---

// A host that knows its two addresses, ARP, neighbour solicitation and echo: just enough for ping.
class EchoResponder final : public net::FrameSink {
 public:
  explicit EchoResponder(TapInterface& tap) : tap_(tap) {}
  static constexpr net::Ip4 kIp4 = net::Ip4::of(10, 7, 0, 1);
  static net::Ip6 ip6() { return MUST(net::parse_ip6("2001:db8:7::1")); }  // Well formed.

  void accept(net::Frame&& frame) override {
    net::Frame out;
    for (uint32_t i = 0; i < frame.size(); ++i) {
      Octets bytes = bytes_of(frame[i]);
      if (!answer(bytes)) continue;
      net::PacketPtr reply = frame.take(i);
      reply->assign(bytes);
      out.push(std::move(reply));
    }
    tap_.transmit(std::move(out));
  }
  int echoes = 0;

 private:
  // Turns a request into its answer. False for what needs none.
  bool answer(Octets& bytes) {
    const auto ethernet = net::EthernetView::parse(bytes);
    if (!ethernet) return false;
    const net::EthernetHeader reply{ethernet->source(), tap_.mac(), ethernet->type()};
    const std::span<uint8_t> body = std::span(bytes).subspan(14);
    bool answered = false;
    if (reply.type == net::EtherType::Arp) answered = answer_arp(body);
    if (reply.type == net::EtherType::Ip4) answered = answer_ip4(body);
    if (reply.type == net::EtherType::Ip6) answered = answer_ip6(body);
    if (answered) reply.emit(bytes);
    return answered;
  }
  bool answer_arp(std::span<uint8_t> body) {
    const auto arp = net::ArpView::parse(body);
    if (!arp || arp->target_ip() != kIp4) return false;
    net::ArpPacket{net::ArpOperation::Reply, tap_.mac(), kIp4, arp->sender_mac(), arp->sender_ip()}
        .emit(body);
    return true;
  }
  bool answer_ip4(std::span<uint8_t> body) {
    const auto ip = net::Ip4View::parse(body);
    if (!ip || ip->destination() != kIp4 || ip->protocol() != 1) return false;
    const auto message = body.subspan(ip->header_size());
    if (net::checksum_of(message) != 0 || message[0] != 8) return false;
    ++echoes;
    net::Ip4Header header = ip->header();
    std::swap(header.source, header.destination);
    header.emit(body);
    message[0] = 0;
    net::store16(&message[2], 0);
    net::store16(&message[2], net::checksum_of(message));
    return true;
  }
  bool answer_ip6(std::span<uint8_t> body) {
    const auto ip = net::Ip6View::parse(body);
    if (!ip || ip->next_header() != 58) return false;
    const auto message = body.subspan(40);
    const auto icmp = net::Icmp6View::parse(message);
    net::Ip6Header header = ip->header();
    header.destination = header.source;
    header.source = ip6();
    if (icmp && icmp->type() == net::Icmp6Type::Echo && ip->destination() == ip6()) {
      ++echoes;
      message[0] = 129;
    } else if (icmp && icmp->type() == net::Icmp6Type::NeighbourSolicitation &&
               icmp->neighbour_solicitation().target == ip6()) {
      net::NeighbourAdvertisement{
          .target = ip6(), .solicited = true, .override = true, .target_mac = tap_.mac()}
          .emit(message);
    } else {
      return false;
    }
    header.emit(body);
    net::store16(&message[2], 0);
    net::InternetSum sum = net::pseudo_header(header.source, header.destination, 58,
                                              static_cast<uint32_t>(message.size()));
    sum.add(message);
    net::store16(&message[2], sum.checksum());
    return true;
  }
  TapInterface& tap_;
};

class TapInNamespaceTest : public testing::TestWithParam<Offload> {
 protected:
  void SetUp() override {
    if (auto can = can_use_tap(); !can) GTEST_SKIP() << "needs a TAP device: " << can.error().text;
    // Just tried.
    space_ = std::make_unique<Netns>(MUST(Netns::make()));
    loop_ = MUST(RealLoop::make());
    tap_ = MUST(TapInterface::open(
        {.device = "tap0", .mac = net::MacAddress::local(1), .offload = GetParam()}, *space_,
        *loop_, pool_));
    kernel_ = std::make_unique<Rtnetlink>(MUST(space_->netlink()));
    responder_ = std::make_unique<EchoResponder>(*tap_);
    tap_->attach(responder_.get());
    configure();
  }
  void configure() {
    for (const char* address : {"10.7.0.2/24", "2001:db8:7::2/64"}) {
      const auto added = kernel_->add_address("tap0", MUST(net::parse_prefix(address)));
      ASSERT_TRUE(added) << added.error().text;
    }
    const auto up = kernel_->set_up("tap0");
    ASSERT_TRUE(up) << up.error().text;
  }
  // Pings from inside until it ends; true when every echo came back.
  bool ping(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "ping");
    const Fd nowhere = MUST(open_file("/dev/null", O_WRONLY));  // Always there.
    auto child = space_->run_program({.standard_output = nowhere.raw()}, std::move(arguments));
    if (!child) {
      ADD_FAILURE() << child.error().text;
      return false;
    }
    bool all = false;
    const auto watched = child->watch(*loop_, [&](ExitStatus status) {
      all = status.is_success();
      loop_->stop();
    });
    EXPECT_TRUE(watched);
    EXPECT_FALSE(loop_->run_for(20s));
    return all;
  }

  std::unique_ptr<Netns> space_;
  std::unique_ptr<RealLoop> loop_;
  net::PacketPool pool_;
  std::unique_ptr<TapInterface> tap_;
  std::unique_ptr<Rtnetlink> kernel_;
  std::unique_ptr<EchoResponder> responder_;
};

INSTANTIATE_TEST_SUITE_P(Offloads, TapInNamespaceTest,
                         testing::Values(Offload::None, Offload::Join, Offload::ChecksumAndTso),
                         [](const auto& of) {
                           return of.param == Offload::None   ? "none"
                                  : of.param == Offload::Join ? "join"
                                                              : "checksum_and_tso";
                         });

TEST_P(TapInNamespaceTest, kernel_pings_through_it_over_both_versions) {
  EXPECT_TRUE(ping({"-c3", "-i0.01", "-W5", "10.7.0.1"}));
  EXPECT_TRUE(ping({"-c3", "-i0.01", "-W5", "-s1400", "10.7.0.1"}));
  EXPECT_TRUE(ping({"-c3", "-i0.01", "-W5", "2001:db8:7::1"}));
  EXPECT_EQ(responder_->echoes, 9);
  EXPECT_EQ(tap_->device_counters().tx_refused, 0u);
}

TEST_P(TapInNamespaceTest, device_goes_with_its_interface) {
  EXPECT_EQ(tap_->name(), "tap0");
  EXPECT_TRUE(kernel_->link("tap0"));
  tap_.reset();
  const auto gone = kernel_->link("tap0");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().text, "interface tap0: No such device");
}

TEST_P(TapInNamespaceTest, deleted_device_is_noticed) {
  ASSERT_TRUE(kernel_->delete_link("tap0"));
  EXPECT_TRUE(loop_->run());  // Ends: nothing is watched any more.
  EXPECT_FALSE(tap_->is_open());
}

TEST_P(TapInNamespaceTest, output_to_a_device_that_is_down_is_refused_and_counted) {
  ASSERT_TRUE(kernel_->set_up("tap0", false));
  net::Frame frame;
  frame.push(pool_.allocate());
  frame[0].assign(pattern(60));
  tap_->transmit(std::move(frame));
  EXPECT_EQ(tap_->device_counters().tx_refused, 1u);
}

TEST_P(TapInNamespaceTest, taken_or_long_names_are_errors) {
  const auto taken = TapInterface::open({.device = "tap0"}, *space_, *loop_, pool_);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().text, "make TAP device 'tap0': Device or resource busy");
  const auto longer = TapInterface::open({.device = "a-name-of-16-ch."}, *space_, *loop_, pool_);
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().text,
            "make TAP device 'a-name-of-16-ch.': a name has at most 15 characters");
  const auto chosen = TapInterface::open({.device = ""}, *space_, *loop_, pool_);
  ASSERT_TRUE(chosen) << chosen.error().text;
  EXPECT_EQ((*chosen)->name(), "tap1");
}

}  // namespace
}  // namespace wh::host
