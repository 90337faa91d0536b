#include "host/offload.h"

#include <gtest/gtest.h>

#include <array>

#include "core/random.h"
#include "host/tunnel.h"
#include "net/crc32c.h"
#include "net/wire/ethernet.h"
#include "net/wire/ip4.h"
#include "net/wire/ip6.h"

namespace wh::host {
namespace {

constexpr uint8_t kTcp = 6, kUdp = 17;

class OffloadTest : public testing::Test {
 protected:
  // An Ethernet frame with an IP header, `transport` bytes above it, and 100 more behind those.
  net::PacketPtr frame(net::Family family, uint8_t protocol, uint32_t transport, uint8_t tags = 0) {
    net::PacketPtr packet = pool_.allocate();
    net::EthernetHeader ethernet;
    ethernet.type = family == net::Family::V4 ? net::EtherType::Ip4 : net::EtherType::Ip6;
    ethernet.tag_count = tags;
    ethernet.emit({packet->append(ethernet.size()), ethernet.size()});
    if (family == net::Family::V4) {
      net::Ip4Header ip;
      ip.protocol = protocol;
      ip.total_length = static_cast<uint16_t>(20 + transport + 100);
      ip.emit({packet->append(20), 20});
    } else {
      net::Ip6Header ip;
      ip.next_header = protocol;
      ip.payload_length = static_cast<uint16_t>(transport + 100);
      ip.emit({packet->append(40), 40});
    }
    uint8_t* at = packet->append(transport);
    std::fill_n(at, transport, uint8_t{0});
    if (protocol == kTcp) at[12] = static_cast<uint8_t>(transport / 4 << 4);
    packet->append({net::ChunkRef::make(100), 0, 100});
    return packet;
  }
  net::PacketPool pool_;
};

TEST_F(OffloadTest, lays_out_tcp_over_both_versions_and_vlan_tags) {
  for (const uint8_t tags : {uint8_t{0}, uint8_t{1}, uint8_t{2}}) {
    const auto v4 = frame(net::Family::V4, kTcp, 32, tags);
    const auto four = lay_out(v4->head());
    ASSERT_TRUE(four);
    EXPECT_FALSE(four->is_v6);
    EXPECT_EQ(four->l4_offset, 34u + 4u * tags);
    EXPECT_EQ(four->headers_end, v4->head_size());
    const auto v6 = frame(net::Family::V6, kTcp, 60, tags);
    const auto six = lay_out(v6->head());
    ASSERT_TRUE(six);
    EXPECT_TRUE(six->is_v6);
    EXPECT_EQ(six->l4_offset, 54u + 4u * tags);
    EXPECT_EQ(six->headers_end, v6->head_size());
  }
}

TEST_F(OffloadTest, nothing_is_laid_out_of_fragments_other_types_and_cut_headers) {
  auto fragment = frame(net::Family::V4, kUdp, 8);
  fragment->data()[21] = 1;  // An offset of 8 bytes.
  EXPECT_FALSE(lay_out(fragment->head()));
  auto arp = frame(net::Family::V4, kUdp, 8);
  arp->data()[13] = 6;
  EXPECT_FALSE(lay_out(arp->head()));
  const auto whole = frame(net::Family::V6, kTcp, 20);
  EXPECT_FALSE(lay_out(whole->head().first(53)));
  EXPECT_TRUE(lay_out(whole->head().first(54)));
}

TEST_F(OffloadTest, open_checksum_is_described_by_where_it_begins_and_is_stored) {
  auto packet = frame(net::Family::V6, kTcp, 20);
  packet->checksum = net::Checksum::Needed;
  const auto header = describe_offload(*packet);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->flags, VirtioHeader::kNeedsChecksum);
  EXPECT_EQ(header->checksum_start, 54);
  EXPECT_EQ(header->checksum_offset, 16);
  EXPECT_EQ(header->gso_type, VirtioHeader::kNoGso);
  auto datagram = frame(net::Family::V4, kUdp, 8);
  datagram->checksum = net::Checksum::Needed;
  EXPECT_EQ(describe_offload(*datagram)->checksum_offset, 6);
}

TEST_F(OffloadTest, long_segment_is_described_by_its_kind_part_and_headers) {
  auto packet = frame(net::Family::V4, kTcp, 32);
  packet->checksum = net::Checksum::Needed;
  packet->gso_size = 1448;
  const auto header = describe_offload(*packet);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->gso_type, VirtioHeader::kGsoTcp4);
  EXPECT_EQ(header->gso_size, 1448);
  EXPECT_EQ(header->header_size, 66);
  auto six = frame(net::Family::V6, kTcp, 32);
  six->gso_size = 1;
  EXPECT_EQ(describe_offload(*six)->gso_type, VirtioHeader::kGsoTcp6);
}

TEST_F(OffloadTest, work_that_no_header_expresses_is_refused) {
  auto other = frame(net::Family::V4, 99, 8);
  other->checksum = net::Checksum::Needed;
  EXPECT_FALSE(describe_offload(*other));
  auto echo = frame(net::Family::V4, 1, 8);
  echo->gso_size = 1000;
  EXPECT_FALSE(describe_offload(*echo));
  auto cut = frame(net::Family::V4, kTcp, 20);
  cut->data()[14 + 20 + 12] = 0xf0;  // Claims more header than is in the head.
  cut->checksum = net::Checksum::Needed;
  EXPECT_FALSE(describe_offload(*cut));
}

TEST_F(OffloadTest, what_is_described_is_noted_again) {
  for (const auto checksum :
       {net::Checksum::Unknown, net::Checksum::Verified, net::Checksum::Needed}) {
    for (const uint16_t part : {uint16_t{0}, uint16_t{1448}}) {
      auto packet = frame(net::Family::V4, kTcp, 20);
      packet->checksum = checksum;
      packet->gso_size = part;
      const auto header = describe_offload(*packet);
      ASSERT_TRUE(header);
      auto other = frame(net::Family::V4, kTcp, 20);
      ASSERT_EQ(note_offload(*header, *other), Noted::Done);
      EXPECT_EQ(other->gso_size, part);
      // Beside a cut that is to come, "verified" has nothing to say to the kernel.
      if (part == 0 || checksum == net::Checksum::Needed) {
        EXPECT_EQ(other->checksum, checksum);
      }
    }
  }
}

TEST_F(OffloadTest, senseless_headers_are_refused_at_their_limits) {
  auto packet = frame(net::Family::V4, kTcp, 20);
  const auto size = static_cast<uint16_t>(packet->size());
  VirtioHeader header{.flags = VirtioHeader::kNeedsChecksum, .checksum_offset = 16};
  header.checksum_start = static_cast<uint16_t>(size - 18);
  EXPECT_EQ(note_offload(header, *packet), Noted::Done);
  header.checksum_start = static_cast<uint16_t>(size - 17);
  EXPECT_EQ(note_offload(header, *packet), Noted::Senseless);
  EXPECT_EQ(note_offload({.gso_type = VirtioHeader::kGsoTcp4, .gso_size = 0}, *packet),
            Noted::Senseless);
  EXPECT_EQ(note_offload({.gso_type = VirtioHeader::kGsoTcp4, .gso_size = 1}, *packet),
            Noted::Done);
  EXPECT_EQ(note_offload({.gso_type = 3, .gso_size = 1000}, *packet),
            Noted::Senseless);  // UDP fragments.
}

// Without a place nobody knows what else it might be a segment of.
TEST_F(OffloadTest, segment_of_another_kind_than_the_frame_is_refused) {
  auto datagrams = frame(net::Family::V4, kUdp, 8);
  EXPECT_EQ(note_offload({.gso_type = VirtioHeader::kGsoTcp4, .gso_size = 50}, *datagrams),
            Noted::Senseless);
  auto six = frame(net::Family::V6, kTcp, 20);
  EXPECT_EQ(note_offload({.gso_type = VirtioHeader::kGsoTcp4, .gso_size = 50}, *six),
            Noted::Senseless);
  EXPECT_EQ(six->gso_size, 0);
}

TEST_F(OffloadTest, open_checksum_of_the_frames_own_transport_stays_open) {
  for (const auto family : {net::Family::V4, net::Family::V6}) {
    for (const uint8_t protocol : {kTcp, kUdp}) {
      for (const uint8_t tags : {uint8_t{0}, uint8_t{1}}) {
        auto packet = frame(family, protocol, protocol == kTcp ? 20 : 8, tags);
        packet->checksum = net::Checksum::Needed;
        const auto header = describe_offload(*packet);
        ASSERT_TRUE(header);
        auto again = frame(family, protocol, protocol == kTcp ? 20 : 8, tags);
        EXPECT_EQ(note_offload(*header, *again), Noted::Done);
        EXPECT_EQ(again->checksum, net::Checksum::Needed);
      }
    }
  }
}

// One too far behind the beginning to be reached is said to be so.
TEST_F(OffloadTest, open_checksum_anywhere_else_is_completed_at_once) {
  auto packet = frame(net::Family::V4, 99, 40);
  std::fill_n(packet->data() + 34, 40, uint8_t{0x11});
  std::memset(packet->slices[0].chunk->bytes(), 0, 100);
  net::store16(packet->data() + 50, 0);
  const VirtioHeader header{
      .flags = VirtioHeader::kNeedsChecksum, .checksum_start = 40, .checksum_offset = 10};
  EXPECT_EQ(note_offload(header, *packet), Noted::Done);
  EXPECT_EQ(packet->checksum, net::Checksum::Unknown);
  EXPECT_EQ(net::load16(packet->data() + 50), static_cast<uint16_t>(~(0x1111 * 16 % 0xffff)));

  auto jumbo = frame(net::Family::V4, 99, 40);
  jumbo->append(net::Slice{net::ChunkRef::make(1000), 0, 1000});
  EXPECT_EQ(
      note_offload(
          {.flags = VirtioHeader::kNeedsChecksum, .checksum_start = 600, .checksum_offset = 16},
          *jumbo),
      Noted::Cannot);
}

TEST_F(OffloadTest, computed_zero_in_udp_is_sent_as_all_ones) {
  for (const auto& [offset, expected] : {std::pair(uint16_t{6}, 0xffff), {uint16_t{2}, 0}}) {
    auto packet = frame(net::Family::V4, 99, 40);
    std::fill_n(packet->data() + 34, 40, uint8_t{0});
    std::memset(packet->slices[0].chunk->bytes(), 0, 100);
    net::store16(packet->data() + 40 + offset, 0xfffe);  // What the pseudo-header would leave.
    net::store16(packet->data() + 60, 1);
    const VirtioHeader header{
        .flags = VirtioHeader::kNeedsChecksum, .checksum_start = 40, .checksum_offset = offset};
    EXPECT_EQ(note_offload(header, *packet), Noted::Done);
    EXPECT_EQ(net::load16(packet->data() + 40 + offset), expected);
  }
}

// Which is of another kind, and no note on a packet means it. Both values are well known (RFC 3720
// appendix B.4).
TEST_F(OffloadTest, open_checksum_of_sctp_is_completed_at_once) {
  constexpr uint8_t kSctp = 132;
  auto packet = frame(net::Family::V4, kSctp, 12);
  packet->truncate(34 + 32);
  std::memset(packet->slices[0].chunk->bytes(), 0, 100);
  const VirtioHeader header{
      .flags = VirtioHeader::kNeedsChecksum, .checksum_start = 34, .checksum_offset = 8};
  EXPECT_EQ(note_offload(header, *packet), Noted::Done);
  EXPECT_EQ(packet->checksum, net::Checksum::Unknown);
  EXPECT_EQ(net::load32(packet->data() + 42), 0xaa36918au);  // Of 32 zeros.
  net::Crc32c crc;
  const std::string_view digits = "123456789";
  crc.add({reinterpret_cast<const uint8_t*>(digits.data()), digits.size()});
  EXPECT_EQ(crc.value(), 0xe3069283u);
}

TEST_F(OffloadTest, any_bytes_are_survived) {
  const uint64_t seed = 7;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  for (int i = 0; i < 20000; ++i) {
    auto packet = frame(random.one_in(2) ? net::Family::V4 : net::Family::V6,
                        random.one_in(2) ? kTcp : kUdp, 20);
    packet->truncate(static_cast<uint32_t>(random.below(packet->size() + 1)));
    for (int flips = 0; flips < 4 && packet->head_size() > 0; ++flips) {
      packet->data()[random.below(packet->head_size())] = static_cast<uint8_t>(random.next());
    }
    const VirtioHeader header{
        static_cast<uint8_t>(random.next()),      static_cast<uint8_t>(random.below(8)),
        static_cast<uint16_t>(random.next()),     static_cast<uint16_t>(random.below(3)),
        static_cast<uint16_t>(random.below(256)), static_cast<uint16_t>(random.below(32))};
    if (note_offload(header, *packet) == Noted::Tunnelled) {
      EXPECT_FALSE(TunnelledSegment::find(header, *packet)) << "in no tunnel";
    }
    const auto described = describe_offload(*packet);
    if (described && described->gso_type != VirtioHeader::kNoGso) {
      EXPECT_LE(described->header_size, packet->head_size());
    }
  }
}

}  // namespace
}  // namespace wh::host
