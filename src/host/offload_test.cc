#include "host/offload.h"

#include <gtest/gtest.h>

#include <array>

#include "core/random.h"
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
      ASSERT_TRUE(note_offload(*header, *other));
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
  EXPECT_TRUE(note_offload(header, *packet));
  header.checksum_start = static_cast<uint16_t>(size - 17);
  EXPECT_FALSE(note_offload(header, *packet));
  EXPECT_FALSE(note_offload({.gso_type = VirtioHeader::kGsoTcp4, .gso_size = 0}, *packet));
  EXPECT_TRUE(note_offload({.gso_type = VirtioHeader::kGsoTcp4, .gso_size = 1}, *packet));
  EXPECT_FALSE(note_offload({.gso_type = 3, .gso_size = 1000}, *packet));  // UDP fragments.
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
    (void)note_offload(header, *packet);
    const auto described = describe_offload(*packet);
    if (described && described->gso_type != VirtioHeader::kNoGso) {
      EXPECT_LE(described->header_size, packet->head_size());
    }
  }
}

}  // namespace
}  // namespace wh::host
