#include "net/wire/udp.h"

#include <gtest/gtest.h>

#include <vector>

namespace wh::net {
namespace {

std::vector<uint8_t> datagram(uint16_t length) {
  std::vector<uint8_t> bytes(8);
  UdpHeader{53, 40000, 8, 0x1234}.emit(bytes);
  store16(&bytes[4], length);
  return bytes;
}

TEST(Udp, parses_what_it_emits) {
  const UdpHeader h{53, 40000, 520, 0xffff};
  std::vector<uint8_t> bytes(8);
  h.emit(bytes);
  const auto view = UdpView::parse(bytes, 520);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header(), h);
  EXPECT_EQ(view->payload_size(), 512u);
}

TEST(Udp, length_must_cover_the_header) {
  EXPECT_EQ(UdpView::parse(datagram(7), 100).fault(), UdpFault::BadLength);
  EXPECT_EQ(UdpView::parse(datagram(0), 100).fault(), UdpFault::BadLength);
  EXPECT_TRUE(UdpView::parse(datagram(8), 100));
}

TEST(Udp, length_must_be_within_the_packet_and_may_be_less) {
  EXPECT_EQ(UdpView::parse(datagram(101), 100).fault(), UdpFault::LengthBeyondPacket);
  EXPECT_TRUE(UdpView::parse(datagram(100), 100));
  EXPECT_TRUE(UdpView::parse(datagram(99), 100));
}

TEST(Udp, is_truncated_below_eight_bytes) {
  const auto bytes = datagram(8);
  EXPECT_EQ(UdpView::parse(std::span(bytes).first(7), 100).fault(), UdpFault::Truncated);
  EXPECT_STREQ(to_string(UdpFault::LengthBeyondPacket), "udp length beyond packet");
}

}  // namespace
}  // namespace wh::net
