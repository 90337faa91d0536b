#include "host/segment_run.h"

#include <gtest/gtest.h>

#include "net/checksum.h"
#include "net/wire/wire.h"

namespace wh::host {
namespace {

class SegmentRunTest : public testing::TestWithParam<bool> {
 protected:
  struct Segment {
    uint32_t sequence = 1000, size = 100;
    uint8_t flags = 0x10;
    uint16_t id = 7, window = 500, port = 80;
    bool may_be_fragmented = false;
  };
  bool is_v6() const { return GetParam(); }
  uint32_t tcp_at() const { return is_v6() ? 54 : 34; }

  net::PacketPtr make(Segment s) {
    net::PacketPtr p = pool_.allocate();
    const uint32_t headers = tcp_at() + 20, tcp_size = 20 + s.size;
    uint8_t* at = p->append(headers);
    std::memset(at, 0, headers);
    net::store16(at + 12, is_v6() ? 0x86dd : 0x0800);
    uint8_t* ip = at + 14;
    if (is_v6()) {
      ip[0] = 0x60;
      net::store16(ip + 4, static_cast<uint16_t>(tcp_size));
      ip[6] = 6;
      ip[7] = 64;
    } else {
      ip[0] = 0x45;
      net::store16(ip + 2, static_cast<uint16_t>(20 + tcp_size));
      net::store16(ip + 4, s.id);
      ip[6] = s.may_be_fragmented ? 0 : 0x40;
      ip[8] = 64;
      ip[9] = 6;
      net::store16(ip + 10, net::header_checksum({ip, 20}));
    }
    uint8_t* tcp = at + tcp_at();
    net::store16(tcp, s.port);
    net::store32(tcp + 4, s.sequence);
    tcp[12] = 0x50;
    tcp[13] = s.flags;
    net::store16(tcp + 14, s.window);
    net::ChunkRef chunk = net::ChunkRef::make(s.size);
    for (uint32_t i = 0; i < s.size; ++i) chunk->bytes()[i] = static_cast<uint8_t>(s.sequence + i);
    p->append(net::Slice{std::move(chunk), 0, s.size});
    net::InternetSum sum;
    sum.add(is_v6() ? std::span(ip + 8, 32) : std::span(ip + 12, 8));
    sum.add16(6);
    sum.add32(tcp_size);
    p->for_each_run(tcp_at(), [&](std::span<const uint8_t> run) { sum.add(run); });
    net::store16(tcp + 16, sum.checksum());
    return p;
  }
  // Whether a second segment continues the plain first.
  bool follows(Segment s) {
    auto first = make({}), second = make(s);
    EXPECT_TRUE(run_.begin(*first));
    return run_.append(*second);
  }
  net::PacketPool pool_;
  SegmentRun run_;
};

INSTANTIATE_TEST_SUITE_P(Versions, SegmentRunTest, testing::Bool(),
                         [](const auto& of) { return of.param ? "ip6" : "ip4"; });

TEST_P(SegmentRunTest, segments_that_continue_each_other_become_one) {
  auto first = make({});
  ASSERT_TRUE(run_.begin(*first));
  EXPECT_EQ(run_.segments(), 1u);
  for (uint32_t i = 1; i <= 3; ++i) {
    auto next = make({.sequence = 1000 + 100 * i, .id = static_cast<uint16_t>(7 + i)});
    EXPECT_TRUE(run_.append(*next)) << i;
    EXPECT_EQ(next->checksum, net::Checksum::Verified);
  }
  auto last = make({.sequence = 1400, .size = 30, .flags = 0x18, .id = 11});
  EXPECT_TRUE(run_.append(*last));
  auto late = make({.sequence = 1430, .id = 12});
  EXPECT_FALSE(run_.append(*late));
  EXPECT_EQ(run_.segments(), 5u);
  const auto headers = run_.headers();
  EXPECT_EQ(headers.size(), tcp_at() + 20);
  const uint32_t ip_size =
      is_v6() ? 40u + net::load16(headers.data() + 18) : net::load16(headers.data() + 16);
  EXPECT_EQ(14 + ip_size, headers.size() + 430);
  if (!is_v6()) {
    EXPECT_EQ(net::header_checksum(headers.subspan(14, 20)), 0);
  }
  EXPECT_EQ(headers[tcp_at() + 13], 0x18);
  EXPECT_EQ(net::load32(headers.data() + tcp_at() + 4), 1000u);
  const VirtioHeader offload = run_.offload();
  EXPECT_EQ(offload.gso_size, 100);
  EXPECT_EQ(offload.header_size, headers.size());
  EXPECT_EQ(offload.checksum_start, tcp_at());
}

TEST_P(SegmentRunTest, what_differs_in_anything_else_does_not_follow) {
  EXPECT_TRUE(follows({.sequence = 1100, .id = 8}));
  EXPECT_FALSE(follows({.sequence = 1101, .id = 8}));
  EXPECT_FALSE(follows({.sequence = 1099, .id = 8}));
  EXPECT_FALSE(follows({.sequence = 1100, .size = 101, .id = 8}));
  EXPECT_FALSE(follows({.sequence = 1100, .id = 8, .window = 501}));
  EXPECT_FALSE(follows({.sequence = 1100, .id = 8, .port = 81}));
  for (const int flags : {0x12, 0x14, 0x30, 0x90, 0x50}) {
    EXPECT_FALSE(follows({.sequence = 1100, .flags = static_cast<uint8_t>(flags), .id = 8}))
        << flags;
  }
  EXPECT_TRUE(follows({.sequence = 1100, .flags = 0x11, .id = 8}));
  if (!is_v6()) {
    EXPECT_FALSE(follows({.sequence = 1100, .id = 9}));
  }
}

TEST_P(SegmentRunTest, identification_of_what_is_never_fragmented_may_change_where_that_was_said) {
  run_ = SegmentRun(SegmentRun::Identification::MayChange);
  EXPECT_TRUE(follows({.sequence = 1100, .id = 7}));
  EXPECT_TRUE(follows({.sequence = 1100, .id = 8}));
  if (is_v6()) return;
  auto first = make({.may_be_fragmented = true});
  auto same = make({.sequence = 1100, .id = 7, .may_be_fragmented = true});
  auto next = make({.sequence = 1100, .id = 8, .may_be_fragmented = true});
  ASSERT_TRUE(run_.begin(*first));
  EXPECT_FALSE(run_.append(*same));
  EXPECT_TRUE(run_.append(*next));
}

TEST_P(SegmentRunTest, message_is_of_the_first_packet_and_those_that_continue_it) {
  auto a = make({}), b = make({.sequence = 1100, .id = 8}), c = make({.sequence = 1300, .id = 9});
  const std::array<net::Packet*, 3> packets{a.get(), b.get(), c.get()};
  VirtioHeader header;
  auto parts = std::make_unique<IoParts>();
  EXPECT_EQ(add_message(packets, run_, header, *parts), 2u);
  EXPECT_EQ(header.gso_size, 100);
  // The virtio header, the run's, and the payloads.
  ASSERT_EQ(parts->used(), 4u);
  EXPECT_EQ(parts->at(1)->iov_len, tcp_at() + 20);
  EXPECT_EQ(parts->at(2)->iov_len, 100u);
  parts->clear();
  EXPECT_EQ(add_message(std::span(packets).subspan(2), run_, header, *parts), 1u);
  EXPECT_EQ(header.gso_size, 0);
  ASSERT_EQ(parts->used(), 3u);
  EXPECT_EQ(parts->at(1)->iov_base, c->data());
  parts->clear();
  c->gso_size = 50;
  c->truncate(30);  // No headers that a device could cut by.
  EXPECT_EQ(add_message(std::span(packets).subspan(2), run_, header, *parts), 0u);
  EXPECT_EQ(parts->used(), 0u);
}

TEST_P(SegmentRunTest, broken_byte_is_not_hidden_behind_a_new_checksum) {
  auto first = make({}), second = make({.sequence = 1100, .id = 8});
  ASSERT_TRUE(run_.begin(*first));
  second->unshare_payload()[50] ^= 4;
  EXPECT_FALSE(run_.append(*second));
  if (is_v6()) return;
  auto third = make({.sequence = 1100, .id = 8});
  third->data()[14 + 11] ^= 4;  // Of the header's own checksum.
  EXPECT_FALSE(run_.append(*third));
}

TEST_P(SegmentRunTest, run_ends_where_its_length_field_does) {
  auto first = make({.size = 1400});
  ASSERT_TRUE(run_.begin(*first));
  uint32_t sequence = 2400;
  uint16_t id = 8;
  for (;; sequence += 1400, ++id) {
    auto next = make({.sequence = sequence, .size = 1400, .id = id});
    if (!run_.append(*next)) break;
    ASSERT_LT(run_.segments(), 100u);
  }
  const uint32_t most = SegmentRun::kMostBytes - (is_v6() ? 60 : 40);
  EXPECT_EQ(run_.segments(), most / 1400);
}

TEST_P(SegmentRunTest, what_is_no_plain_segment_begins_no_run) {
  for (const int flags : {0x02, 0x11, 0x14, 0x18, 0x30, 0x90}) {
    auto p = make({.flags = static_cast<uint8_t>(flags)});
    EXPECT_FALSE(run_.begin(*p)) << flags;
  }
  auto udp = make({});
  udp->data()[is_v6() ? 20 : 23] = 17;
  EXPECT_FALSE(run_.begin(*udp));
  auto empty = make({.size = 0});
  EXPECT_FALSE(run_.begin(*empty));
  auto padded = make({});
  padded->truncate(padded->size() - 1);
  EXPECT_FALSE(run_.begin(*padded));
}

}  // namespace
}  // namespace wh::host
