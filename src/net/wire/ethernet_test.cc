#include "net/wire/ethernet.h"

#include <gtest/gtest.h>

#include <vector>

namespace wh::net {
namespace {

EthernetHeader sample(uint8_t tags) {
  EthernetHeader h{MacAddress::broadcast(), MacAddress::local(7), EtherType::Arp, tags, {}};
  if (tags > 0) h.tags[0] = {tags == 2 ? EtherType::ServiceVlan : EtherType::Vlan, 0xe123};
  if (tags > 1) h.tags[1] = {EtherType::Vlan, 0x0007};
  return h;
}

TEST(Ethernet, parses_what_it_emits_with_up_to_two_tags) {
  for (uint8_t tags = 0; tags <= 2; ++tags) {
    const EthernetHeader h = sample(tags);
    std::vector<uint8_t> bytes(h.size());
    h.emit(bytes);
    const auto view = EthernetView::parse(bytes);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->header(), h);
    EXPECT_EQ(view->header_size(), 14u + 4u * tags);
  }
}

TEST(Ethernet, lays_out_a_tagged_header_as_802_1q_says) {
  std::vector<uint8_t> bytes(18);
  sample(1).emit(bytes);
  const std::vector<uint8_t> expected = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,    0, 0,
                                         0,    0,    7,    0x81, 0x00, 0xe1, 0x23, 8, 6};
  EXPECT_EQ(bytes, expected);
  const auto view = EthernetView::parse(bytes);
  EXPECT_EQ(view->tag(0).vlan(), 0x123);
  EXPECT_EQ(view->tag(0).priority(), 7);
}

TEST(Ethernet, is_truncated_one_byte_before_its_end) {
  for (uint8_t tags = 0; tags <= 2; ++tags) {
    std::vector<uint8_t> bytes(sample(tags).size());
    sample(tags).emit(bytes);
    EXPECT_TRUE(EthernetView::parse(bytes));
    bytes.pop_back();
    const auto view = EthernetView::parse(bytes);
    ASSERT_FALSE(view);
    EXPECT_STREQ(to_string(view.fault()), "ethernet truncated");
  }
  EXPECT_FALSE(EthernetView::parse({}));
}

TEST(Ethernet, takes_a_third_tag_for_the_type) {
  std::vector<uint8_t> bytes(22);
  EthernetHeader h = sample(2);
  h.type = EtherType::Vlan;
  h.emit(bytes);
  const auto view = EthernetView::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->tag_count(), 2u);
  EXPECT_EQ(view->type(), EtherType::Vlan);
}

TEST(Ethernet, tells_a_length_from_a_type_at_0x600) {
  std::vector<uint8_t> bytes(14);
  EthernetHeader h = sample(0);
  h.type = EtherType{0x05ff};
  h.emit(bytes);
  EXPECT_TRUE(EthernetView::parse(bytes)->is_802_3());
  h.type = EtherType{0x0600};
  h.emit(bytes);
  EXPECT_FALSE(EthernetView::parse(bytes)->is_802_3());
}

}  // namespace
}  // namespace wh::net
