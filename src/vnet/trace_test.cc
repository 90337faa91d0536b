// A traced packet through everything that refuses packets: each node's account is true, whatever
// the packet was refused for.
#include <regex>

#include "graph/show.h"
#include "vnet/acl.h"
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::Ip4;
using net::Ip4Header;
using net::Ip6Header;
using net::MacAddress;

// h forwards, back to the link that a packet came by, and traces all that comes.
class Traced : public HostTest {
 protected:
  Traced() {
    MUST(h.sysctl().set("net.inet.ip.forwarding", "1"));
    MUST(h.sysctl().set("net.inet6.ip6.forwarding", "1"));
    trace();
  }
  void trace() {
    h.graph().clear_trace();
    for (const char* node : {"ethernet-input", "ip4-lookup", "ip6-lookup"}) {
      MUST(h.graph().trace_add(node, 100));
    }
  }
  // What was said since the last call. Every adjacency in it is one that there is.
  std::string told() {
    const std::string text = graph::format_traces(h.graph());
    const std::regex adjacency("(dpo|adj)-idx ([0-9]+)");
    for (std::sregex_iterator i(text.begin(), text.end(), adjacency), end; i != end; ++i) {
      EXPECT_LT(std::stoul((*i)[2]), h.stack().adjacencies.size()) << text;
    }
    trace();
    return text;
  }
  Ip4Header to(Ip4 destination) {
    return {.source = Ip4::of(10, 0, 0, 3), .destination = destination, .protocol = 17};
  }
  Ip6Header to6(const char* destination) {
    return {.source = ip6_of("2001:db8::3"),
            .destination = ip6_of(destination),
            .next_header = 17,
            .hop_limit = 64};
  }
};

TEST_F(Traced, follows_a_packet_into_its_sub_interface) {
  const uint16_t sub = MUST(h.virtuals().add_sub(index, {.id = 100}));
  MUST(h.set_up(sub, true));
  Octets frame = ethernet(own_mac(), MacAddress::local(50), net::EtherType::Ip4,
                          ip4(to(Ip4::of(10, 9, 0, 1)), udp(1, 2)));
  const uint8_t tag[] = {0x81, 0, 0, 100};
  frame.insert(frame.begin() + 12, tag, tag + 4);
  receive(frame);
  const std::string text = told();
  EXPECT_NE(text.find("ip4-lookup"), std::string::npos) << text;
  EXPECT_EQ(text.find("Packet 2"), std::string::npos) << text;
}

TEST_F(Traced, tells_of_what_rewrite_refuses) {
  MUST(h.set_mtu(index, 1300));
  for (const uint8_t protocol : {uint8_t{1}, uint8_t{6}, uint8_t{17}}) {
    Ip4Header header = to(kPeer);
    header.protocol = protocol;
    header.ttl = 1;
    receive_ip4(ip4(header, protocol == 1 ? echo4(1, 1) : Octets(40)));
    const std::string text = told();
    EXPECT_NE(text.find("ipv4 via 10.0.0.2 eth0: mtu:1300"), std::string::npos) << text;
    EXPECT_NE(text.find("type 11 code 0 value 0"), std::string::npos) << text;
  }
  Ip4Header whole = to(kPeer);
  whole.dont_fragment = true;
  receive_ip4(ip4(whole, udp(1, 2, Octets(1400))));
  EXPECT_NE(told().find("type 3 code 4 value 1300"), std::string::npos);
  Ip6Header header = to6("2001:db8::2");
  receive_ip6(ip6(header, udp(1, 2, Octets(1400))));
  EXPECT_NE(told().find("type 2 code 0 value 1300"), std::string::npos);
  header.hop_limit = 1;
  receive_ip6(ip6(header, udp(1, 2)));
  const std::string text = told();
  EXPECT_NE(text.find("ipv6 via 2001:db8::2 eth0: mtu:1300"), std::string::npos) << text;
  EXPECT_NE(text.find("type 3 code 0 value 0"), std::string::npos) << text;
  // This host's own, too.
  ping(h, "10.0.0.2", {.size = 1400, .count = 1, .dont_fragment = true});
  EXPECT_NE(told().find("type 3 code 4 value 1300"), std::string::npos);
  EXPECT_EQ(count("ip4-input", "ttl_expired"), 3u);
  EXPECT_EQ(count("ip4-rewrite", "mtu_exceeded"), 2u);
}

TEST_F(Traced, tells_of_what_no_way_leads_to) {
  receive_ip4(ip4(to(Ip4::of(192, 0, 2, 1)), udp(1, 2)));
  EXPECT_NE(told().find("fib 0 dpo-idx 0 flow"), std::string::npos);
  receive_ip6(ip6(to6("2001:db8:9::1"), udp(1, 2)));
  EXPECT_NE(told().find("fib 0 dpo-idx 0 flow"), std::string::npos);
  MUST(h.add_blackhole(prefix("192.0.2.0/24")));
  receive_ip4(ip4(to(Ip4::of(192, 0, 2, 1)), udp(1, 2)));
  EXPECT_NE(told().find("never forwarded"), std::string::npos);
  for (const char* absent : {"10.0.0.77", "2001:db8::77"}) {  // Nobody answers for it.
    const bool v4 = ip(absent).is_v4();
    v4 ? receive_ip4(ip4(to(ip(absent).v4()), udp(1, 2)))
       : receive_ip6(ip6(to6(absent), udp(1, 2)));
    loop.run_for(10s);
    EXPECT_NE(told().find(v4 ? "type 3 code 1 value 0" : "type 1 code 3 value 0"),
              std::string::npos);
  }
  MUST(h.sysctl().set("net.inet.ip.forwarding", "0"));
  receive_ip4(ip4(to(kPeer), udp(1, 2)));
  EXPECT_NE(told().find("forwarding is off"), std::string::npos);
}

TEST_F(Traced, tells_of_what_this_host_refuses) {
  receive_ip4(ip4(to(kOwn), udp(1, 2)));
  EXPECT_NE(told().find("type 3 code 3 value 0"), std::string::npos);
  Ip4Header header = to(kOwn);
  header.protocol = 99;
  receive_ip4(ip4(header, Octets(8)));
  EXPECT_NE(told().find("type 3 code 2 value 0"), std::string::npos);
  Ip6Header header6 = to6("2001:db8::1");
  header6.next_header = 99;
  receive_ip6(ip6(header6, Octets(8)));
  EXPECT_NE(told().find("type 4 code 1 value 6"), std::string::npos);
  header = to(kOwn);
  header.more_fragments = true;
  receive_ip4(ip4(header, Octets(800)));
  header.fragment_offset = 1600;
  receive_ip4(ip4(header, Octets(800)));
  loop.run_for(120s);
  EXPECT_NE(told().find("type 11 code 1 value 0"), std::string::npos);
}

TEST_F(Traced, tells_of_what_features_and_fragments_refuse) {
  MUST(h.nat44().add_address(kOwn));
  MUST(h.nat44().add_address(Ip4::of(10, 0, 0, 60)));
  MUST(h.nat44().set_role(index, NatRole::Outside));
  receive_ip4(ip4(to(Ip4::of(10, 0, 0, 60)), udp(1, 2)));
  EXPECT_NE(told().find("no translation"), std::string::npos);
  Ip4Header later = to(kPeer);
  later.fragment_offset = 800;
  receive_ip4(ip4(later, Octets(64)));  // Its first never comes.
  loop.run_for(10s);
  EXPECT_NE(told().find("first never came"), std::string::npos);
  MUST(h.nat44().set_role(index, NatRole::None));
  MUST(h.set_mtu(index, 600));
  later.fragment_offset = 64800;
  receive_ip4(ip4(later, Octets(1401)));
  EXPECT_NE(told().find("beyond the longest datagram"), std::string::npos);
}

}  // namespace
}  // namespace wh::vnet
