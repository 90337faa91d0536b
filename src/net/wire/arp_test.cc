#include "net/wire/arp.h"

#include <gtest/gtest.h>

#include <vector>

namespace wh::net {
namespace {

std::vector<uint8_t> request() {
  std::vector<uint8_t> bytes(ArpPacket::kSize);
  ArpPacket{
      ArpOperation::Request, MacAddress::local(1), Ip4::of(10, 0, 0, 1), {}, Ip4::of(10, 0, 0, 2)}
      .emit(bytes);
  return bytes;
}

ArpFault fault_of(std::span<const uint8_t> bytes) {
  const auto view = ArpView::parse(bytes);
  EXPECT_FALSE(view);
  return view.fault();
}

TEST(Arp, parses_what_it_emits) {
  const ArpPacket reply{ArpOperation::Reply, MacAddress::local(2), Ip4::of(10, 0, 0, 2),
                        MacAddress::local(1), Ip4::of(10, 0, 0, 1)};
  std::vector<uint8_t> bytes(ArpPacket::kSize);
  reply.emit(bytes);
  const auto view = ArpView::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->packet(), reply);
}

TEST(Arp, lays_out_a_request_as_rfc_826_says) {
  const std::vector<uint8_t> expected = {0,  1, 8, 0, 6, 4, 0, 1, 2, 0, 0,  0, 0, 1,
                                         10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2};
  EXPECT_EQ(request(), expected);
}

TEST(Arp, ignores_padding_behind_it) {
  auto bytes = request();
  bytes.resize(46, 0xee);
  EXPECT_TRUE(ArpView::parse(bytes));
}

TEST(Arp, names_each_fault) {
  auto bytes = request();
  EXPECT_EQ(fault_of(std::span(bytes).first(27)), ArpFault::Truncated);
  bytes[1] = 6;
  EXPECT_EQ(fault_of(bytes), ArpFault::BadHardwareType);
  bytes = request();
  bytes[2] = 0x86;
  EXPECT_EQ(fault_of(bytes), ArpFault::BadProtocolType);
  for (const size_t at : {4u, 5u}) {
    bytes = request();
    ++bytes[at];
    EXPECT_EQ(fault_of(bytes), ArpFault::BadAddressLength);
  }
}

TEST(Arp, passes_on_an_operation_it_does_not_know) {
  auto bytes = request();
  bytes[7] = 9;
  const auto view = ArpView::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->operation(), ArpOperation{9});
}

}  // namespace
}  // namespace wh::net
