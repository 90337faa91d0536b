#include "net/checksum.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/random.h"
#include "net/ip_service.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"
#include "net/wire/tcp.h"
#include "net/wire/udp.h"

namespace wh::net {
namespace {

constexpr uint64_t kChecksumSeed = 0x5eed0001;

std::vector<uint8_t> random_bytes(Random& random, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random.next());
  return bytes;
}

// 0 and 0xffff are one number in one's complement, and fold() gives 0 only for a sum of nothing but
// zeros.
void expect_same_sum(std::span<const uint8_t> bytes) {
  ASSERT_EQ(fold(sum_bytes(bytes)), fold(sum_bytes_plainly(bytes))) << bytes.size() << " bytes";
}

TEST(Checksum, matches_example_of_rfc_1071) {
  const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  InternetSum sum;
  sum.add(bytes);
  EXPECT_EQ(sum.folded(), 0xddf2);  // RFC 1071 section 3.
  EXPECT_EQ(checksum_of(bytes), 0x220d);
}

TEST(Checksum, agrees_with_plain_reference_at_every_size_and_alignment) {
  Random random(kChecksumSeed);
  const auto bytes = random_bytes(random, 1024);
  for (size_t start = 0; start < 8; ++start) {
    for (size_t size = 0; size <= 600; ++size) expect_same_sum({bytes.data() + start, size});
  }
}

TEST(Checksum, agrees_with_plain_reference_when_every_word_carries) {
  for (const size_t size : {2u, 64u, 127u, 128u, 129u, 9000u, 65536u, 1u << 20}) {
    const std::vector<uint8_t> ones(size, 0xff), zeros(size, 0);
    expect_same_sum(ones);
    expect_same_sum(zeros);
    EXPECT_EQ(fold(sum_bytes(zeros)), 0);
  }
}

TEST(Checksum, agrees_with_plain_reference_on_random_bytes) {
  SCOPED_TRACE(
      fmt::format("replay: net_test --gtest_filter=Checksum.* with seed {:#x}", kChecksumSeed));
  Random random(kChecksumSeed);
  for (int i = 0; i < 300; ++i) {
    const auto bytes = random_bytes(random, random.below(70'000));
    expect_same_sum(bytes);
  }
}

TEST(Checksum, does_not_depend_on_how_bytes_are_cut_into_runs) {
  SCOPED_TRACE(fmt::format("seed {:#x}", kChecksumSeed));
  Random random(kChecksumSeed);
  for (int i = 0; i < 500; ++i) {
    const auto bytes = random_bytes(random, 1 + random.below(400));
    InternetSum sum;
    for (size_t at = 0; at < bytes.size();) {
      const size_t n = std::min<size_t>(random.below(40), bytes.size() - at);
      sum.add({bytes.data() + at, n});
      at += n;
    }
    ASSERT_EQ(sum.checksum(), checksum_of(bytes)) << "case " << i;
  }
}

TEST(Checksum, update_agrees_with_summing_afresh) {
  SCOPED_TRACE(fmt::format("seed {:#x}", kChecksumSeed));
  Random random(kChecksumSeed);
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = random_bytes(random, 20);
    const uint16_t before = checksum_of(bytes);
    const size_t at = 4 * random.below(5);
    const uint32_t from = load32(&bytes[at]);
    const uint32_t to = random.one_in(4) ? ~from : static_cast<uint32_t>(random.next());
    store32(&bytes[at], to);
    // A sum of all ones and one of nothing are told apart by neither method; both mean zero.
    const uint16_t fresh = checksum_of(bytes), updated = update_checksum32(before, from, to);
    ASSERT_EQ(fresh % 0xffff, updated % 0xffff) << "case " << i;
  }
}

TEST(Checksum, update_gives_the_value_of_rfc_1624_section_4) {
  EXPECT_EQ(update_checksum(0xdd2f, 0x5555, 0x3285), 0x0000);
}

// An Ethernet frame with a transport header, whose payload is cut into head and slices at random
// places.
struct Builder {
  PacketPool pool;
  Random random{kChecksumSeed};

  // The transport header of `header` bytes is written by the caller at l4_offset.
  PacketPtr make(bool v4, uint8_t protocol, uint32_t header, uint32_t payload) {
    PacketPtr p = pool.allocate();
    const uint32_t length = header + payload;
    EthernetHeader ethernet{
        MacAddress::local(1), MacAddress::local(2), v4 ? EtherType::Ip4 : EtherType::Ip6, 0, {}};
    ethernet.emit({p->append(14), 14});
    if (v4) {
      Ip4Header ip;
      ip.source = Ip4::of(10, 0, 0, 1);
      ip.destination = Ip4::of(192, 168, 255, 2);
      ip.protocol = protocol;
      ip.total_length = static_cast<uint16_t>(20 + length);
      ip.emit({p->append(20), 20});
    } else {
      Ip6Header ip;
      ip.source = {{0x20, 1, 0xd, 0xb8, 1}};
      ip.destination = {{0x20, 1, 0xd, 0xb8, 0xff, 0xff}};
      ip.next_header = protocol;
      ip.payload_length = static_cast<uint16_t>(length);
      ip.emit({p->append(40), 40});
    }
    p->l4_offset = static_cast<uint16_t>(p->head_size());
    std::memset(p->append(header), 0, header);
    const uint32_t in_head = static_cast<uint32_t>(random.below(std::min(payload, 40u) + 1));
    const auto bytes = random_bytes(random, payload);
    if (in_head != 0) std::memcpy(p->append(in_head), bytes.data(), in_head);
    const uint32_t rest = payload - in_head, first = static_cast<uint32_t>(random.below(rest + 1));
    const ChunkRef chunk = ChunkRef::copy_of(std::span(bytes).subspan(in_head));
    p->append(Slice{chunk, 0, first});
    p->append(Slice{chunk, first, rest - first});
    return p;
  }
};

InternetSum pseudo_of(const Packet& p, uint8_t protocol, uint32_t length) {
  const auto head = p.head().subspan(14);
  if (head[0] >> 4 == 4) {
    const auto ip = Ip4View::parse_quoted(head);
    return pseudo_header(ip->source(), ip->destination(), protocol, length);
  }
  const auto ip = Ip6View::parse_quoted(head);
  return pseudo_header(ip->source(), ip->destination(), protocol, length);
}

// What IP hands to a transport: the Ethernet header pulled off, the checksum unknown.
void deliver(Packet& p) {
  p.pull(14);
  p.l4_offset = static_cast<uint16_t>(p.l4_offset - 14);
  p.checksum = Checksum::Unknown;
}

TEST(Checksum, completes_what_verify_accepts_whatever_the_runs) {
  Builder builder;
  SCOPED_TRACE(fmt::format("seed {:#x}", kChecksumSeed));
  for (int i = 0; i < 400; ++i) {
    const bool v4 = builder.random.one_in(2), tcp = builder.random.one_in(2);
    const uint8_t protocol = tcp ? kProtocolTcp : kProtocolUdp;
    const uint32_t header = tcp ? 32 : 8;
    const auto payload = static_cast<uint32_t>(builder.random.below(3000));
    PacketPtr p = builder.make(v4, protocol, header, payload);
    uint8_t* at = p->data() + p->l4_offset;
    const uint16_t pseudo = pseudo_of(*p, protocol, header + payload).folded();
    if (tcp) {
      TcpHeader h;
      h.seq = SeqNum(static_cast<uint32_t>(builder.random.next()));
      h.checksum = pseudo;
      h.options.timestamps = TcpTimestamps{1, 2};
      h.emit({at, header});
    } else {
      UdpHeader{53, 4000, static_cast<uint16_t>(header + payload), pseudo}.emit({at, header});
    }
    p->checksum = Checksum::Needed;
    EXPECT_TRUE(try_complete_checksum(*p));
    ASSERT_EQ(p->checksum, Checksum::Verified);
    deliver(*p);
    ASSERT_TRUE(verify_transport(*p, protocol)) << "case " << i;
    ASSERT_EQ(p->checksum, Checksum::Verified);

    // One changed bit anywhere in the segment is found.
    p->checksum = Checksum::Unknown;
    const auto bit = static_cast<uint8_t>(1u << builder.random.below(8));
    p->data()[p->l4_offset + builder.random.below(4)] ^= bit;
    ASSERT_FALSE(verify_transport(*p, protocol)) << "case " << i;
    ASSERT_EQ(p->checksum, Checksum::Unknown);
  }
}

TEST(Checksum, sends_a_computed_zero_of_udp_as_all_ones) {
  Builder builder;
  PacketPtr p = builder.make(true, kProtocolUdp, 8, 0);
  InternetSum pseudo = pseudo_of(*p, kProtocolUdp, 8);
  uint8_t* at = p->data() + p->l4_offset;
  UdpHeader{0, 4000, 8, pseudo.folded()}.emit({at, 8});
  InternetSum all = pseudo;  // The source port that makes the sum come out as 0xffff.
  all.add16(4000);
  all.add16(8);
  store16(at, all.checksum());
  p->checksum = Checksum::Needed;
  EXPECT_TRUE(try_complete_checksum(*p));
  EXPECT_EQ(load16(at + 6), 0xffff);
  deliver(*p);
  EXPECT_TRUE(verify_transport(*p, kProtocolUdp));
}

TEST(Checksum, accepts_udp_without_checksum_on_ip4_only) {
  Builder builder;
  for (const bool v4 : {true, false}) {
    PacketPtr p = builder.make(v4, kProtocolUdp, 8, 5);
    UdpHeader{1, 2, 13, 0}.emit({p->data() + p->l4_offset, 8});
    deliver(*p);
    EXPECT_EQ(verify_transport(*p, kProtocolUdp), v4);
  }
}

TEST(Checksum, finds_no_place_where_the_headers_lie) {
  Builder builder;
  constexpr uint32_t kIp = 14;
  const auto refuses = [&](auto&& spoil) {
    PacketPtr p = builder.make(true, kProtocolTcp, 20, 6);
    spoil(*p);
    p->checksum = Checksum::Needed;
    return !try_complete_checksum(*p) && p->checksum == Checksum::Needed;
  };
  EXPECT_FALSE(refuses([](Packet&) {}));
  EXPECT_TRUE(refuses([](Packet& p) { p.truncate(13); }));
  EXPECT_TRUE(refuses([](Packet& p) { store16(p.data() + kIp + 2, 47); }));  // Beyond its end,
  EXPECT_TRUE(refuses([](Packet& p) { store16(p.data() + kIp + 2, 37); }));  // before the field,
  EXPECT_TRUE(refuses([](Packet& p) { store16(p.data() + kIp + 2, 19); }));  // in the header.
  EXPECT_TRUE(refuses([](Packet& p) { store16(p.data() + kIp + 6, 0x2000); }));  // More fragments.
  EXPECT_TRUE(refuses([](Packet& p) { p.data()[kIp + 9] = 132; }));              // SCTP.
  EXPECT_TRUE(refuses([](Packet& p) { p.data()[kIp] = 0x4f; }));
  EXPECT_TRUE(refuses([](Packet& p) { p.data()[kIp] = 0x65; }));
}

TEST(Checksum, leaves_packets_alone_that_do_not_need_it) {
  Builder builder;
  PacketPtr p = builder.make(true, kProtocolTcp, 20, 3);
  p->checksum = Checksum::Unknown;
  EXPECT_TRUE(try_complete_checksum(*p));
  EXPECT_EQ(load16(p->data() + p->l4_offset + 16), 0);
  EXPECT_EQ(p->checksum, Checksum::Unknown);
}

TEST(Checksum, trusts_what_never_left_the_process) {
  Builder builder;
  for (const Checksum known : {Checksum::Needed, Checksum::Verified}) {
    PacketPtr p = builder.make(true, kProtocolTcp, 20, 3);
    deliver(*p);
    EXPECT_FALSE(verify_transport(*p, kProtocolTcp));
    p->checksum = known;
    EXPECT_TRUE(verify_transport(*p, kProtocolTcp));
  }
}

TEST(Checksum, icmp_has_a_pseudo_header_in_version_six_only) {
  Builder builder;
  for (const bool v4 : {true, false}) {
    const uint8_t protocol = v4 ? kProtocolIcmp : kProtocolIcmp6;
    PacketPtr p = builder.make(v4, protocol, 8, 57);
    const auto bytes = builder.pool.clone(*p);
    InternetSum sum = v4 ? InternetSum{} : pseudo_of(*p, protocol, 65);
    p->for_each_run(p->l4_offset, [&](std::span<const uint8_t> run) { sum.add(run); });
    store16(p->data() + p->l4_offset + 2, sum.checksum());
    deliver(*p);
    EXPECT_TRUE(verify_transport(*p, protocol));
  }
}

}  // namespace
}  // namespace wh::net
