// Fragmentation and reassembly through whole vnets, and the attacks on them.
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::Ip4;
using net::Ip4Header;
using net::Ip6;
using net::Ip6FragmentHeader;

Octets part(const Octets& whole, size_t begin, size_t end) {
  return {whole.begin() + static_cast<std::ptrdiff_t>(begin),
          whole.begin() + static_cast<std::ptrdiff_t>(end)};
}

// --- from one vnet to another ---

using Fragments = PairTest;

TEST_F(Fragments, carries_pings_larger_than_the_mtu) {
  for (const uint32_t size : {1472u, 1473u, 3000u, 65507u}) {
    EXPECT_EQ(ping(a, "10.0.0.2", {.size = size, .count = 2}).received, 2u) << size;
  }
  EXPECT_EQ(count(b, "ip4-full-reassembly", "reassembled"), 6u);
  for (const uint32_t size : {1452u, 1453u, 3000u, 65507u}) {
    EXPECT_EQ(ping(a, "2001:db8::2", {.size = size, .count = 2}).received, 2u) << size;
  }
  EXPECT_EQ(count(b, "ip6-full-reassembly", "reassembled"), 6u);
  EXPECT_EQ(cable.a().counters().tx_too_big, 0u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Fragments, carries_udp_datagrams_of_every_size_whole) {
  Octets got;
  auto server4 = MUST(b.open_udp({.port = 9}, [&](const UdpDatagram& d) { got = d.payload(); }));
  auto server6 = MUST(b.open_udp({.family = net::Family::V6, .port = 9},
                                 [&](const UdpDatagram& d) { got = d.payload(); }));
  auto client4 = MUST(a.open_udp({}, [](const UdpDatagram&) {}));
  auto client6 = MUST(a.open_udp({.family = net::Family::V6}, [](const UdpDatagram&) {}));
  for (size_t size = 0; size <= 65507; size = size * 2 + 1) {
    MUST(client4->send(ip("10.0.0.2"), 9, pattern(size)));
    loop.run_for(10ms);
    ASSERT_EQ(got, pattern(size)) << size;
    got.clear();
    MUST(client6->send(ip("2001:db8::2"), 9, pattern(size)));
    loop.run_for(10ms);
    ASSERT_EQ(got, pattern(size)) << size;
    got.clear();
  }
}

TEST_F(Fragments, tells_a_local_sender_that_may_not_fragment) {
  auto client = MUST(a.open_udp({.dont_fragment = true}, [](const UdpDatagram&) {}));
  std::vector<net::IpError> errors;
  client->on_error([&](const net::IpError& e) { errors.push_back(e); });
  MUST(client->send(ip("10.0.0.2"), 9, Octets(1473)));
  loop.run_for(1s);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].kind, net::IpError::Kind::PacketTooBig);
  EXPECT_EQ(errors[0].mtu, 1500u);
  EXPECT_EQ(count(a, "ip4-rewrite", "mtu_exceeded"), 1u);
}

// --- by hand ---

class FragmentAttack : public HostTest {
 protected:
  // Bytes [begin, end) of an echo request of 8 + 400 bytes.
  void fragment4(uint16_t id, uint32_t begin, uint32_t end, bool more) {
    receive_ip4(ip4({.source = kPeer,
                     .destination = kOwn,
                     .protocol = net::kProtocolIcmp,
                     .id = id,
                     .more_fragments = more,
                     .fragment_offset = static_cast<uint16_t>(begin)},
                    part(echo4(7, 1, pattern(400)), begin, end)));
  }
  void fragment6(uint32_t id, uint32_t begin, uint32_t end, bool more) {
    Octets header(8);
    Ip6FragmentHeader{.next_header = net::kProtocolIcmp6,
                      .offset = static_cast<uint16_t>(begin),
                      .more_fragments = more,
                      .id = id}
        .emit(header);
    receive_ip6(ip6({.source = kPeer6, .destination = kOwn6, .next_header = net::kIp6Fragment},
                    header + part(echo6(kPeer6, kOwn6, 7, 1, pattern(400)), begin, end)));
  }
};

TEST_F(FragmentAttack, none_when_fragments_are_honest) {
  fragment4(1, 200, 408, false);
  fragment4(1, 0, 200, true);
  fragment6(1, 200, 408, false);
  fragment6(1, 0, 200, true);
  const auto lines = sent();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0].find("echo reply"), std::string::npos);
  EXPECT_NE(lines[1].find("echo reply"), std::string::npos);
}

TEST_F(FragmentAttack, overlaps_drop_the_whole_packet_silently) {
  fragment4(1, 0, 200, true);
  fragment4(1, 192, 400, true);
  fragment4(1, 400, 408, false);
  fragment4(1, 0, 200, true);
  EXPECT_EQ(count("ip4-full-reassembly", "overlap"), 1u);
  EXPECT_EQ(count("ip4-full-reassembly", "spoiled"), 3u);
  fragment6(1, 0, 200, true);
  fragment6(1, 192, 400, true);
  fragment6(1, 400, 408, false);
  EXPECT_EQ(count("ip6-full-reassembly", "overlap"), 1u);
  EXPECT_EQ(count("ip6-full-reassembly", "spoiled"), 2u);
  EXPECT_TRUE(sent().empty());
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(FragmentAttack, repetitions_change_nothing) {
  fragment4(1, 0, 200, true);
  fragment4(1, 0, 200, true);
  fragment4(1, 200, 408, false);
  EXPECT_EQ(count("ip4-full-reassembly", "duplicate"), 1u);
  EXPECT_EQ(sent().size(), 1u);
}

// They are a part of what was cut, and looked at once it is whole.
TEST_F(FragmentAttack, options_behind_the_fragment_header_are_put_together_with_the_rest) {
  const Octets padding = {net::kProtocolIcmp6, 0, 1, 4, 0, 0, 0, 0};
  const Octets whole = padding + echo6(kPeer6, kOwn6, 7, 1);
  for (const auto& [begin, end] : {std::pair<uint16_t, size_t>{0, 40}, {40, whole.size()}}) {
    Octets header(8);
    Ip6FragmentHeader{.next_header = net::kIp6DestinationOptions,
                      .offset = begin,
                      .more_fragments = end != whole.size(),
                      .id = 1}
        .emit(header);
    receive_ip6(ip6(
        {.source = kPeer6, .destination = kOwn6, .next_header = net::kIp6Fragment},
        header + Octets(whole.begin() + begin, whole.begin() + static_cast<std::ptrdiff_t>(end))));
  }
  EXPECT_EQ(sent(), (std::vector<std::string>{"IP6 2001:db8::1 > 2001:db8::2: ICMP6, echo reply, "
                                              "id 7, seq 1, length 64"}));
}

TEST_F(FragmentAttack, beyond_the_longest_packet_is_refused) {
  // The "ping of death": the last fragment ends past 65535.
  receive_ip4(
      ip4({.source = kPeer, .destination = kOwn, .protocol = 1, .id = 1, .fragment_offset = 65528},
          Octets(100)));
  EXPECT_EQ(count("ip4-full-reassembly", "too_long"), 1u);
  Octets header(8);
  Ip6FragmentHeader{.next_header = 17, .offset = 65528, .id = 1}.emit(header);
  receive_ip6(ip6({.source = kPeer6, .destination = kOwn6, .next_header = net::kIp6Fragment},
                  header + Octets(100)));
  EXPECT_EQ(count("ip6-full-reassembly", "too_long"), 1u);
  const auto lines = sent();
  ASSERT_EQ(lines.size(), 1u);  // RFC 8200 section 4.5: a parameter problem.
  EXPECT_NE(lines[0].find("parameter problem"), std::string::npos) << lines[0];
}

TEST_F(FragmentAttack, lengths_not_a_multiple_of_eight_are_refused) {
  fragment4(1, 0, 201, true);
  EXPECT_EQ(count("ip4-full-reassembly", "bad_length"), 1u);
  fragment6(1, 0, 201, true);
  EXPECT_EQ(count("ip6-full-reassembly", "bad_length"), 1u);
}

TEST_F(FragmentAttack, a_flood_is_bounded_and_does_not_stop_others) {
  MUST(h.sysctl().set("net.inet.ip.maxfragpackets", "10"));
  for (uint16_t id = 0; id < 1000; ++id) fragment4(id, 0, 200, true);
  EXPECT_EQ(pool.in_use(), 10u);
  EXPECT_EQ(count("ip4-full-reassembly", "evicted"), 990u);
  fragment4(2000, 0, 200, true);
  fragment4(2000, 200, 408, false);
  EXPECT_EQ(sent().size(), 1u);
  MUST(h.sysctl().set("net.inet.ip.maxfrags", "4"));
  fragment4(3000, 0, 8, true);
  EXPECT_EQ(pool.in_use(), 4u);
  MUST(h.sysctl().set("net.inet.ip.maxfragpackets", "0"));
  fragment4(4000, 0, 8, true);
  EXPECT_EQ(count("ip4-full-reassembly", "no_room"), 1u);
}

TEST_F(FragmentAttack, missing_fragments_end_in_time_exceeded) {
  fragment4(1, 0, 200, true);
  fragment4(2, 200, 408, false);
  fragment6(1, 0, 200, true);
  loop.run_for(30s - 1ns);
  EXPECT_TRUE(sent().empty());
  loop.run_for(1ns);
  const auto lines = sent();
  ASSERT_EQ(lines.size(), 1u);  // Not about packet 2: its beginning was never here.
  EXPECT_NE(lines[0].find("reassembly"), std::string::npos) << lines[0];
  EXPECT_EQ(count("ip4-full-reassembly", "timeout"), 2u);
  loop.run_for(30s);
  EXPECT_EQ(sent().size(), 1u);
  EXPECT_EQ(count("ip6-full-reassembly", "timeout"), 1u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(FragmentAttack, an_atomic_fragment_is_no_fragment) {
  fragment6(1, 0, 200, true);  // Of the same identification: RFC 6946 keeps them apart.
  fragment6(1, 0, 408, false);
  EXPECT_EQ(sent().size(), 1u);
}

TEST_F(FragmentAttack, options_are_copied_into_fragments_as_their_flag_says) {
  MUST(h.sysctl().set("net.inet.ip.forwarding", "1"));
  MUST(h.set_mtu(index, 68 + 40));
  Ip4Header header{.source = kPeer, .destination = Ip4::of(10, 0, 0, 2), .protocol = 17};
  header.options_size = 12;
  header.options = {7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0};  // Record route; router alert (copied).
  receive_ip4(ip4(header, Octets(200)));
  ASSERT_GE(recorder.out.size(), 2u);
  const auto first = net::Ip4View::parse(std::span(recorder.out[0]).subspan(14));
  const auto second = net::Ip4View::parse(std::span(recorder.out[1]).subspan(14));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->header_size(), 32u);
  EXPECT_EQ(second->header_size(), 24u);
  EXPECT_EQ(second->options()[0], 148);
  uint32_t payload = 0;
  for (const Octets& frame : recorder.out) {
    const auto view = net::Ip4View::parse(std::span(frame).subspan(14));
    ASSERT_TRUE(view);
    EXPECT_EQ(view->fragment_offset(), payload);
    EXPECT_LE(view->total_length(), 108u);
    payload += view->payload_size();
  }
  EXPECT_EQ(payload, 200u);
}

// What an offset field cannot say would come out near the packet's beginning.
TEST_F(FragmentAttack, one_that_ends_beyond_the_longest_datagram_is_not_cut) {
  MUST(h.sysctl().set("net.inet.ip.forwarding", "1"));
  MUST(h.set_mtu(index, 600));
  Ip4Header header{.source = kPeer, .destination = Ip4::of(10, 0, 0, 2), .protocol = 17};
  header.fragment_offset = 64800;
  receive_ip4(ip4(header, Octets(1401)));
  EXPECT_TRUE(recorder.out.empty());
  EXPECT_EQ(count("ip4-frag", "too_long"), 1u);
  EXPECT_EQ(drops(), 1u);
  // The last that a datagram can have.
  header.fragment_offset = 64000;
  receive_ip4(ip4(header, Octets(65535 - 20 - 64000)));
  EXPECT_EQ(recorder.out.size(), 3u);
  EXPECT_EQ(count("ip4-frag", "too_long"), 1u);
}

}  // namespace
}  // namespace wh::vnet
