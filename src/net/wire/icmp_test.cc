#include "net/wire/icmp.h"

#include <gtest/gtest.h>

#include <vector>

namespace wh::net {
namespace {

// An error that quotes an IPv4 header and `quoted` bytes of what followed it.
std::vector<uint8_t> error(const IcmpHeader& header, uint32_t quoted) {
  Ip4Header ip;
  ip.source = Ip4::of(10, 0, 0, 1);
  ip.destination = Ip4::of(10, 9, 9, 9);
  ip.protocol = 17;
  ip.total_length = 1500;
  std::vector<uint8_t> bytes(8 + 20 + quoted, 0x11);
  header.emit(bytes);
  ip.emit(std::span(bytes).subspan(8));
  return bytes;
}

TEST(Icmp, parses_what_it_emits) {
  const IcmpHeader h = IcmpHeader::echo(IcmpType::Echo, 0x1234, 0x5678);
  std::vector<uint8_t> bytes(8);
  h.emit(bytes);
  const auto view = IcmpView::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->header(), h);
  EXPECT_TRUE(view->is_echo());
  EXPECT_EQ(view->echo_id(), 0x1234);
  EXPECT_EQ(view->echo_sequence(), 0x5678);
}

TEST(Icmp, is_truncated_below_eight_bytes) {
  const std::vector<uint8_t> bytes(8, 8);
  EXPECT_TRUE(IcmpView::parse(bytes));
  EXPECT_EQ(IcmpView::parse(std::span(bytes).first(7)).fault(), IcmpFault::Truncated);
}

TEST(Icmp, error_gives_the_quoted_packet_and_next_hop_mtu) {
  const auto bytes = error(IcmpHeader{IcmpType::Unreachable, kIcmpFragmentationNeeded, 0, 1400}, 8);
  const auto view = IcmpView::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->is_error());
  EXPECT_EQ(view->next_hop_mtu(), 1400);
  EXPECT_EQ(view->quoted().destination(), Ip4::of(10, 9, 9, 9));
  EXPECT_EQ(view->quoted_transport().size(), 8u);
}

TEST(Icmp, error_must_quote_a_header_and_eight_bytes) {
  const IcmpHeader h{IcmpType::TimeExceeded, kIcmpTtlExceeded, 0, 0};
  EXPECT_TRUE(IcmpView::parse(error(h, 8)));
  EXPECT_EQ(IcmpView::parse(error(h, 7)).fault(), IcmpFault::BadQuote);
  auto bytes = error(h, 8);
  bytes[8] = 0x4f;  // A header of 60 bytes, of which 28 are there.
  EXPECT_EQ(IcmpView::parse(bytes).fault(), IcmpFault::BadQuote);
  bytes.resize(8);
  EXPECT_EQ(IcmpView::parse(bytes).fault(), IcmpFault::BadQuote);
  EXPECT_STREQ(to_string(IcmpFault::BadQuote), "icmp bad quote");
}

TEST(Icmp, asks_no_quote_of_types_that_have_none) {
  const IcmpHeader timestamp{IcmpType{13}, 0, 0, 0};
  std::vector<uint8_t> bytes(8);
  timestamp.emit(bytes);
  const auto view = IcmpView::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_FALSE(view->is_error());
}

}  // namespace
}  // namespace wh::net
