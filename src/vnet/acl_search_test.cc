#include "vnet/acl_search.h"

#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

// Rules and packets of few addresses, so that many rules match one packet.
net::IpAddress draw_address(Random& random, bool v4) {
  if (v4)
    return net::Ip4{0x0a000000 + static_cast<uint32_t>(random.below(4) << 16 | random.below(4))};
  net::Ip6 a;
  a.bytes = {0x20, 0x01, 0x0d, 0xb8, static_cast<uint8_t>(random.below(4))};
  a.bytes[15] = static_cast<uint8_t>(random.below(4));
  return a;
}

AclRule draw_rule(Random& random) {
  const bool v4 = random.chance(0.7);
  auto prefix = [&] {
    constexpr uint8_t kLengths4[] = {0, 8, 16, 31, 32}, kLengths6[] = {0, 32, 40, 127, 128};
    return net::Prefix{draw_address(random, v4), (v4 ? kLengths4 : kLengths6)[random.below(5)]};
  };
  AclRule rule{.source = prefix(), .destination = prefix()};
  constexpr uint8_t kProtocols[] = {0, net::kProtocolTcp, net::kProtocolUdp};
  rule.protocol = kProtocols[random.below(3)];
  if (rule.protocol != 0 && random.chance(0.5)) {
    rule.destination_ports.first = static_cast<uint16_t>(random.below(4));
    rule.destination_ports.last =
        static_cast<uint16_t>(rule.destination_ports.first + random.below(3));
  }
  return rule;
}

TEST(AclSearch, finds_what_trying_one_after_another_finds) {
  for (const uint64_t seed : {1u, 2u, 3u}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    for (const size_t size : {0u, 1u, 16u, 17u, 100u, 1000u}) {
      std::vector<AclRule> rules;
      while (rules.size() < size) rules.push_back(draw_rule(random));
      const AclSearch search(rules);
      for (int packet = 0; packet < 2000; ++packet) {
        const bool v4 = random.chance(0.7);
        const AclKey key{draw_address(random, v4),
                         draw_address(random, v4),
                         random.chance(0.5) ? net::kProtocolTcp : net::kProtocolUdp,
                         0,
                         random.chance(0.9),
                         static_cast<uint16_t>(random.below(8)),
                         static_cast<uint16_t>(random.below(8))};
        size_t first = 0;
        while (first < rules.size() && !matches(rules[first], key)) ++first;
        ASSERT_EQ(search.first_match(rules, key), first) << size << " rules";
      }
    }
  }
}

}  // namespace
}  // namespace wh::vnet
