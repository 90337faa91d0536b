// Corruption: what is flipped, what is not, and that checksums find it.
#include "net/link/corrupt.h"

#include <gtest/gtest.h>

#include "net/checksum.h"
#include "net/link/link_test_support.h"
#include "net/test_support.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/udp.h"

namespace wh::net {
namespace {

constexpr Ip4 kFrom = Ip4::of(10, 0, 0, 1), kTo = Ip4::of(10, 0, 0, 2);
constexpr uint32_t kHeaders = 14 + 20 + 8;

// A UDP packet over IPv4 whose payload refers to `payload`, its checksum still to be made.
PacketPtr udp_packet(PacketPool& pool, const Slice& payload) {
  PacketPtr packet = pool.allocate();
  const auto udp_size = static_cast<uint16_t>(8 + payload.size);
  EthernetHeader{MacAddress::local(2), MacAddress::local(1), EtherType::Ip4}.emit(
      {packet->append(14), 14});
  Ip4Header ip;
  ip.source = kFrom, ip.destination = kTo, ip.protocol = 17;
  ip.total_length = static_cast<uint16_t>(20 + udp_size);
  ip.emit({packet->append(20), 20});
  UdpHeader udp{4000, 53, udp_size, pseudo_header(kFrom, kTo, 17, udp_size).folded()};
  udp.emit({packet->append(8), 8});
  EXPECT_TRUE(packet->append(Slice(payload)));
  packet->checksum = Checksum::Needed;
  return packet;
}

class CorruptTest : public ::testing::Test {
 protected:
  CorruptTest() { end.keep_packets(); }
  VirtualLoop loop;
  PacketPool pool;
  LinkCounters counters;
  Recorder end{loop};
  Corrupt always{Probability::percent(100), Random(5), counters, end};
};

TEST_F(CorruptTest, flips_one_bit_behind_the_ethernet_header_that_a_checksum_finds) {
  const std::vector<uint8_t> text(300, 0x5a);
  const Slice payload{ChunkRef::copy_of(text), 0, 300};
  PacketPtr clean = udp_packet(pool, payload);
  ASSERT_TRUE(try_complete_checksum(*clean));
  const auto expected = bytes_of(*clean);
  bool in_ip = false, in_udp = false, in_payload = false;
  for (int round = 0; round < 500; ++round) {
    always.accept(udp_packet(pool, payload));
    Packet& packet = *end.kept.back();
    const auto got = bytes_of(packet);
    ASSERT_EQ(got.size(), expected.size());
    size_t bits = 0, where = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const auto changed = static_cast<unsigned>(got[i] ^ expected[i]);
      if (changed != 0) where = i;
      bits += static_cast<size_t>(__builtin_popcount(changed));
    }
    ASSERT_EQ(bits, 1u);
    ASSERT_GE(where, 14u);
    ASSERT_EQ(packet.checksum, Checksum::Unknown);
    in_ip |= where < 34, in_udp |= where >= 34 && where < kHeaders, in_payload |= where >= kHeaders;
    if (where < 34) {
      EXPECT_NE(header_checksum(packet.head().subspan(14, 20)), 0u);
    } else {
      packet.pull(14);
      packet.l4_offset = 20;
      EXPECT_FALSE(verify_transport(packet, 17)) << "byte " << where;
    }
    end.kept.clear();
  }
  EXPECT_TRUE(in_ip && in_udp && in_payload);
  EXPECT_EQ(counters.corrupted, 500u);
  // The send buffer is untouched.
  EXPECT_EQ(std::memcmp(payload.data(), text.data(), text.size()), 0);
}

TEST_F(CorruptTest, damages_what_has_no_place_for_a_checksum_that_is_needed) {
  PacketPtr packet = raw_packet(pool, 60);
  packet->data()[12] = 0x08, packet->data()[13] = 0x00;
  packet->data()[14] = 0x41;  // A header of four bytes.
  packet->checksum = Checksum::Needed;
  always.accept(std::move(packet));
  EXPECT_EQ(counters.corrupted, 1u);
  EXPECT_EQ(end.kept.back()->checksum, Checksum::Unknown);
}

TEST_F(CorruptTest, leaves_packets_without_a_checksum_alone) {
  for (const uint8_t low : {uint8_t{0x06}, uint8_t{0xb5}}) {  // ARP, and an experiment's ethertype.
    PacketPtr packet = raw_packet(pool, 60);
    packet->data()[12] = 0x08, packet->data()[13] = low;
    const auto before = bytes_of(*packet);
    always.accept(std::move(packet));
    EXPECT_EQ(bytes_of(*end.kept.back()), before);
  }
  PacketPtr bare = raw_packet(pool, 18);  // An IPv4 ethertype and nothing behind it.
  bare->data()[12] = 0x08, bare->data()[13] = 0x00;
  bare->truncate(14);
  struct Sink final : PacketSink {
    void accept(PacketPtr packet) override { size = packet->size(); }
    uint32_t size = 0;
  } sink;
  Corrupt(Probability::percent(100), Random(5), counters, sink).accept(std::move(bare));
  EXPECT_EQ(sink.size, 14u);
  EXPECT_EQ(counters.corrupted, 0u);
}

}  // namespace
}  // namespace wh::net
