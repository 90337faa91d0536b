#include "net/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "core/random.h"

namespace wh::net {
namespace {

constexpr uint64_t kAddressSeed = 0xadd2e55;

// An address with runs of zero groups in it, for those are what its text shortens.
Ip6 random_ip6(Random& random) {
  Ip6 a;
  for (size_t i = 0; i < 16; i += 2) {
    if (random.one_in(2)) continue;
    a.bytes[i] = random.one_in(3) ? uint8_t{0} : static_cast<uint8_t>(random.next());
    a.bytes[i + 1] = static_cast<uint8_t>(random.next());
  }
  return a;
}

TEST(Address, text_parses_back_to_the_value) {
  SCOPED_TRACE(
      fmt::format("replay: net_test --gtest_filter=Address.* with seed {:#x}", kAddressSeed));
  Random random(kAddressSeed);
  for (int i = 0; i < 5000; ++i) {
    const Ip4 v4{static_cast<uint32_t>(random.next())};
    ASSERT_EQ(MUST(parse_ip4(to_string(v4))), v4);
    const Ip6 v6 = random_ip6(random);
    ASSERT_EQ(MUST(parse_ip6(to_string(v6))), v6) << to_string(v6);
    MacAddress mac;
    for (uint8_t& b : mac.bytes) b = static_cast<uint8_t>(random.next());
    ASSERT_EQ(MUST(parse_mac(to_string(mac))), mac);
    const IpAddress any = random.one_in(2) ? IpAddress(v4) : IpAddress(v6);
    ASSERT_EQ(MUST(parse_ip(to_string(any))), any);
    const Prefix p{any, static_cast<uint8_t>(random.below(any.is_v4() ? 33 : 129))};
    ASSERT_EQ(MUST(parse_prefix(to_string(p))), p);
  }
}

TEST(Address, ip6_text_reads_the_same_to_the_c_library) {
  SCOPED_TRACE(fmt::format("seed {:#x}", kAddressSeed));
  Random random(kAddressSeed);
  for (int i = 0; i < 5000; ++i) {
    const Ip6 a = random_ip6(random);
    Ip6 read;
    ASSERT_EQ(inet_pton(AF_INET6, to_string(a).c_str(), read.bytes.data()), 1) << to_string(a);
    ASSERT_EQ(read, a) << to_string(a);
  }
}

TEST(Address, ip6_prints_as_rfc_5952_section_4_asks) {
  const std::pair<const char*, const char*> cases[] = {
      {"2001:0db8::0001", "2001:db8::1"},                // 4.1
      {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},         // 4.2.1
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // 4.2.2
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // 4.2.3
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // 4.2.3, the first of two
      {"2001:DB8:ABCD::", "2001:db8:abcd::"},            // 4.3
      {"::", "::"},
      {"0:0:0:0:0:0:0:1", "::1"},
      {"::ffff:10.0.0.1", "::ffff:a00:1"},
  };
  for (const auto& [text, printed] : cases) EXPECT_EQ(to_string(MUST(parse_ip6(text))), printed);
}

TEST(Address, refuses_what_is_no_address) {
  for (const char* text : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-1", "1.2.3.4 ",
                           "01.2.3.0004", "1..2.3", "10.0.0.010", "00.0.0.0"}) {
    EXPECT_FALSE(parse_ip4(text)) << text;
  }
  for (const char* text : {"", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3",
                           "1:2:3:4:5:6:7::8", "12345::", "g::", "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4",
                           "1:", "::1 ", "1.2.3.4::", "1.2.3.4::1", "1:1.2.3.4::5.6.7.8"}) {
    EXPECT_FALSE(parse_ip6(text)) << text;
  }
  for (const char* text : {"", "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00:100",
                           "02-00-00-00-00-01", "02:00:00:00:00:0g"}) {
    EXPECT_FALSE(parse_mac(text)) << text;
  }
  for (const char* text :
       {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "2001:db8::/129", "/8", "10.0.0.0/-1"}) {
    EXPECT_FALSE(parse_prefix(text)) << text;
  }
  EXPECT_NE(parse_ip("nonsense").error().text.find("accepted: 10.0.0.1"), std::string::npos);
}

TEST(Prefix, contains_what_shares_its_leading_bits) {
  const Prefix p = MUST(parse_prefix("10.1.2.3/23"));
  EXPECT_TRUE(p.contains(Ip4::of(10, 1, 2, 0)));
  EXPECT_TRUE(p.contains(Ip4::of(10, 1, 3, 255)));
  EXPECT_FALSE(p.contains(Ip4::of(10, 1, 4, 0)));
  EXPECT_FALSE(p.contains(Ip4::of(10, 1, 1, 255)));
  EXPECT_FALSE(p.contains(MUST(parse_ip6("a01:203::"))));  // The same bits in another family.
  EXPECT_EQ(to_string(p.network()), "10.1.2.0/23");
  EXPECT_TRUE(MUST(parse_prefix("0.0.0.0/0")).contains(Ip4::of(255, 0, 0, 1)));
  const Prefix host = MUST(parse_prefix("2001:db8::1/128"));
  EXPECT_TRUE(host.contains(MUST(parse_ip6("2001:db8::1"))));
  EXPECT_FALSE(host.contains(MUST(parse_ip6("2001:db8::"))));
}

TEST(Address, kinds_are_told_at_their_boundaries) {
  EXPECT_FALSE(Ip4::of(223, 255, 255, 255).is_multicast());
  EXPECT_TRUE(Ip4::of(224, 0, 0, 0).is_multicast());
  EXPECT_TRUE(Ip4::of(239, 255, 255, 255).is_multicast());
  EXPECT_FALSE(Ip4::of(240, 0, 0, 0).is_multicast());
  EXPECT_TRUE(MUST(parse_ip6("fe80::1")).is_link_local());
  EXPECT_TRUE(MUST(parse_ip6("febf::1")).is_link_local());
  EXPECT_FALSE(MUST(parse_ip6("fec0::1")).is_link_local());
  EXPECT_TRUE(MacAddress::broadcast().is_multicast());
  EXPECT_FALSE(MacAddress::local(1).is_multicast());
}

TEST(Address, derives_ip6_addresses_as_rfc_4291_says) {
  EXPECT_EQ(to_string(MUST(parse_ip6("2001:db8::12:3456")).solicited_node()), "ff02::1:ff12:3456");
  // Appendix A: the universal bit is inverted, ff:fe is put in the middle.
  EXPECT_EQ(to_string(Ip6::link_local(MUST(parse_mac("34:56:78:9a:bc:de")))),
            "fe80::3656:78ff:fe9a:bcde");
}

TEST(Address, families_are_kept_apart) {
  const IpAddress v4 = Ip4::of(1, 2, 3, 4);
  const IpAddress v6 = MUST(parse_ip6("102:304::"));
  EXPECT_EQ(v4.bits, v6.bits);
  EXPECT_NE(v4, v6);
  EXPECT_NE(std::hash<IpAddress>{}(v4), std::hash<IpAddress>{}(v6));
  EXPECT_DEATH((void)v6.v4(), "is_v4");
  EXPECT_DEATH((void)v4.v6(), "is_v4");
}

}  // namespace
}  // namespace wh::net
