// Access lists, policers and source checks on a router between two hosts.
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

class Filter : public RouterTest {
 protected:
  static constexpr uint16_t kLeft = 1, kRight = 2;
  Filter() { loop.run_for(2s); }

  static AclRule rule(AclAction action, std::string_view source, std::string_view destination,
                      uint8_t protocol = 0) {
    return {action, prefix(source), prefix(destination), protocol, {}, {}, 0, 0};
  }
  // What neighbours on a link say to each other.
  static AclRule discovery() {
    AclRule r = rule(AclAction::Permit, "::/0", "::/0", net::kProtocolIcmp6);
    r.source_ports = {133, 136};
    return r;
  }
  // Of IPv6, by the left, nothing else of UDP. Returns the list.
  uint32_t permit_port_53() {
    AclRule only = rule(AclAction::Permit, "::/0", "::/0", net::kProtocolUdp);
    only.destination_ports = {53, 53};
    const uint32_t acl = MUST(r.acls().add({discovery(), only}));
    MUST(r.acls().bind(kLeft, AclTable::kInput, {acl}));
    return acl;
  }
  // A packet arrives at the router by the left.
  void send(const Octets& packet) {
    const bool is_ip6 = packet[0] >> 4 == 6;
    net::PacketPtr p = pool.allocate();
    p->assign(ethernet(left.b().mac(), left.a().mac(),
                       is_ip6 ? net::EtherType::Ip6 : net::EtherType::Ip4, packet));
    net::Frame frame;
    frame.push(std::move(p));
    left.b().receive(std::move(frame));
    loop.run_for(1ms);
  }
  // A datagram from one host to a port of the other; whether it came.
  bool reaches(Vnet& from, Vnet& to, std::string_view address, uint16_t port, uint32_t size = 100) {
    int came = 0;
    auto sink = MUST(to.open_udp({.family = ip(address).family, .port = port},
                                 [&](const UdpDatagram&) { ++came; }));
    auto source = MUST(
        from.open_udp({.family = ip(address).family, .port = 4000}, [](const UdpDatagram&) {}));
    MUST(source->send(ip(address), port, std::vector<uint8_t>(size)));
    loop.run_for(100ms);
    return came == 1;
  }
};

TEST_F(Filter, denies_by_rule_and_at_the_end_of_a_list) {
  AclRule web = rule(AclAction::Permit, "10.1.0.0/24", "0.0.0.0/0", net::kProtocolUdp);
  web.destination_ports = {80, 90};
  const uint32_t acl =
      MUST(r.acls().add({rule(AclAction::Deny, "10.1.0.2/32", "10.2.0.9/32"), web}, "web"));
  MUST(r.acls().bind(kLeft, AclTable::kInput, {acl}));
  EXPECT_TRUE(reaches(a, b, "10.2.0.2", 80));
  EXPECT_TRUE(reaches(a, b, "10.2.0.2", 90));
  EXPECT_FALSE(reaches(a, b, "10.2.0.2", 91));
  EXPECT_FALSE(reaches(a, b, "10.2.0.2", 79));
  EXPECT_EQ(count(r, "ip4-acl-input", "no_rule"), 2u);
  ping(a, "10.2.0.9", {.count = 1});
  EXPECT_EQ(count(r, "ip4-acl-input", "denied"), 1u);
  EXPECT_EQ(r.acls().lists().at(acl).hits, (std::vector<uint64_t>{1, 2}));
  MUST(r.acls().bind(kLeft, AclTable::kInput, {}));
  EXPECT_TRUE(reaches(a, b, "10.2.0.2", 91));
}

TEST_F(Filter, lets_answers_pass_of_what_was_reflected) {
  const uint32_t out = MUST(r.acls().add({rule(AclAction::Reflect, "10.1.0.0/24", "0.0.0.0/0")}));
  const uint32_t none = MUST(r.acls().add({rule(AclAction::Deny, "0.0.0.0/0", "0.0.0.0/0")}));
  // What leaves by the right is let out, and nothing comes in by it but answers.
  MUST(r.acls().bind(kRight, AclTable::kOutput, {out}));
  MUST(r.acls().bind(kRight, AclTable::kInput, {none}));
  EXPECT_EQ(ping(b, "10.1.0.2", {.count = 2}).received, 0u);
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 2}).received, 2u);
  EXPECT_TRUE(reaches(a, b, "10.2.0.2", 53));
  EXPECT_EQ(r.acls().sessions(), 2u);
  loop.run_for(29s);
  EXPECT_EQ(r.acls().sessions(), 2u);
  loop.run_for(15s);
  EXPECT_EQ(r.acls().sessions(), 0u);
  EXPECT_EQ(ping(b, "10.1.0.2", {.count = 1}).received, 0u);
}

// As VPP's: what is reflected as it goes out is the flow that the answers belong to.
TEST_F(Filter, sees_of_an_outside_interface_of_nat_what_is_on_its_wire) {
  MUST(b.remove_route(prefix("0.0.0.0/0")));
  MUST(r.nat44().add_address(net::Ip4::of(10, 2, 0, 1)));
  MUST(r.nat44().set_role(kLeft, NatRole::Inside));
  MUST(r.nat44().set_role(kRight, NatRole::Outside));
  const uint32_t out = MUST(r.acls().add({rule(AclAction::Reflect, "10.2.0.1/32", "0.0.0.0/0")}));
  const uint32_t none = MUST(r.acls().add({rule(AclAction::Deny, "0.0.0.0/0", "0.0.0.0/0")}));
  MUST(r.acls().bind(kRight, AclTable::kOutput, {out}));
  MUST(r.acls().bind(kRight, AclTable::kInput, {none}));
  EXPECT_EQ(ping(a, "10.2.0.2", {.count = 2}).received, 2u);
  EXPECT_EQ(ping(a, "10.2.0.2", {.size = 4000, .count = 2}).received, 2u);
  EXPECT_TRUE(reaches(a, b, "10.2.0.2", 53));
  // Later fragments are of the same flow, which has another port outside, for its own is taken.
  MUST(r.nat44().add_static(
      {net::kProtocolUdp, net::Ip4::of(10, 2, 0, 1), 4001, net::Ip4::of(10, 1, 0, 9), 4001}));
  int answers = 0;
  std::unique_ptr<UdpSocket> server = MUST(b.open_udp({.port = 54}, [&](const UdpDatagram& d) {
    MUST(server->send(d.source, d.source_port, d.payload()));
  }));
  auto client =
      MUST(a.open_udp({.port = 4001}, [&](const UdpDatagram& d) { answers += d.size == 4000; }));
  MUST(client->send(ip("10.2.0.2"), 54, Octets(4000)));
  loop.run_for(1s);
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(ping(b, "10.2.0.1", {.count = 1}).received, 0u);
}

// What b may send to a who pings it: answers, and errors about what a sent.
TEST_F(Filter, reflects_of_icmp_no_more_than_answers) {
  for (const bool v6 : {false, true}) {
    const char* const a_net = v6 ? "2001:db8:1::/64" : "10.1.0.0/24";
    const char* const all = v6 ? "::/0" : "0.0.0.0/0";
    const char* const to_b = v6 ? "2001:db8:2::2" : "10.2.0.2";
    const char* const to_a = v6 ? "2001:db8:1::2" : "10.1.0.2";
    const uint32_t out = MUST(r.acls().add({rule(AclAction::Reflect, a_net, all)}));
    const uint32_t none = MUST(r.acls().add({discovery(), rule(AclAction::Deny, all, all)}));
    MUST(r.acls().bind(kRight, AclTable::kOutput, {out}));
    MUST(r.acls().bind(kRight, AclTable::kInput, {none}));
    EXPECT_EQ(ping(a, to_b, {.size = 3000, .count = 2}).received, 2u);
    EXPECT_GE(r.acls().sessions(), 1u);
    // While that session lasts, b asks nothing.
    EXPECT_EQ(ping(b, to_a, {.count = 2}).received, 0u);

    const uint8_t protocol = v6 ? net::kProtocolIcmp6 : net::kProtocolIcmp;
    const uint16_t request = v6 ? 128 : 8, reply = v6 ? 129 : 0, unreachable = v6 ? 1 : 3;
    auto judge = [&](bool from_b, uint16_t type, uint16_t id, std::optional<AclQuote> quote = {}) {
      const AclKey key{ip(from_b ? to_b : to_a),
                       ip(from_b ? to_a : to_b),
                       protocol,
                       0,
                       true,
                       type,
                       0,
                       id,
                       quote};
      const auto side = from_b ? AclTable::kInput : AclTable::kOutput;
      return r.acls().judge(kRight, side, key) == AclTable::Verdict::Session;
    };
    EXPECT_FALSE(judge(false, request, 0));  // Makes the session, of an identifier as good as any.
    EXPECT_TRUE(judge(false, request, 0));
    EXPECT_TRUE(judge(true, reply, 0));
    EXPECT_FALSE(judge(true, reply, 999));
    EXPECT_FALSE(judge(true, request, 0));
    EXPECT_FALSE(judge(false, reply, 0));
    EXPECT_FALSE(judge(true, request, 0));  // A reply that was let out opened nothing.
    EXPECT_FALSE(judge(true, unreachable, 0));
    AclQuote quote{ip(to_a), ip(to_b), protocol, request, 0, 0};
    EXPECT_TRUE(judge(true, unreachable, 0, quote));
    quote.echo_id = 999;
    EXPECT_FALSE(judge(true, unreachable, 0, quote));
    quote = {ip(to_b), ip(to_a), protocol, reply, 0, 0};
    EXPECT_FALSE(judge(true, unreachable, 0, quote)) << "it tells somebody else than the sender";
    r.acls().clear_sessions();
  }
}

TEST_F(Filter, lets_errors_about_sessions_pass) {
  MUST(r.acls().bind(kRight, AclTable::kOutput,
                     {MUST(r.acls().add({rule(AclAction::Reflect, "10.1.0.0/24", "0.0.0.0/0"),
                                         rule(AclAction::Reflect, "2001:db8:1::/64", "::/0")}))}));
  MUST(r.acls().bind(kRight, AclTable::kInput,
                     {MUST(r.acls().add({rule(AclAction::Deny, "0.0.0.0/0", "0.0.0.0/0"),
                                         discovery(), rule(AclAction::Deny, "::/0", "::/0")}))}));
  for (const char* const to : {"10.2.0.2", "2001:db8:2::2"}) {
    std::vector<net::IpError> errors;
    auto client =
        MUST(a.open_udp({.family = ip(to).family, .port = 4000}, [](const UdpDatagram&) {}));
    client->on_error([&](const net::IpError& e) { errors.push_back(e); });
    MUST(client->send(ip(to), 9, Octets(20)));  // Nobody listens.
    loop.run_for(100ms);
    ASSERT_EQ(errors.size(), 1u) << to;
    EXPECT_EQ(errors[0].kind, net::IpError::Kind::PortUnreachable);
  }
}

TEST_F(Filter, judges_every_fragment_by_the_ports_of_the_first) {
  AclRule only = rule(AclAction::Permit, "0.0.0.0/0", "0.0.0.0/0", net::kProtocolUdp);
  only.destination_ports = {53, 53};
  MUST(r.acls().bind(kLeft, AclTable::kInput, {MUST(r.acls().add({only}))}));
  EXPECT_TRUE(reaches(a, b, "10.2.0.2", 53, 4000));
  EXPECT_FALSE(reaches(a, b, "10.2.0.2", 54, 4000));
  EXPECT_EQ(count(r, "ip4-acl-input", "no_rule"), 3u);  // All its fragments.
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Filter, judges_every_ip6_fragment_by_the_ports_of_the_first) {
  const uint32_t acl = permit_port_53();
  EXPECT_TRUE(reaches(a, b, "2001:db8:2::2", 53, 4000));
  EXPECT_FALSE(reaches(a, b, "2001:db8:2::2", 54, 4000));
  EXPECT_EQ(count(r, "ip6-acl-input", "no_rule"), 3u);  // All its fragments.
  MUST(r.acls().bind(kLeft, AclTable::kInput, {}));
  MUST(r.acls().bind(kRight, AclTable::kOutput, {acl}));
  EXPECT_TRUE(reaches(a, b, "2001:db8:2::2", 53, 4000));
  EXPECT_FALSE(reaches(a, b, "2001:db8:2::2", 54, 4000));
  EXPECT_EQ(count(r, "ip6-acl-output", "no_rule"), 3u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(Filter, ip6_fragments_that_come_before_the_first_wait_for_it) {
  permit_port_53();
  ASSERT_TRUE(reaches(a, b, "2001:db8:2::2", 53));  // The neighbours are known.
  Recorder seen;
  right.b().add_tap(&seen);
  for (const auto& [id, port] : {std::pair{1u, uint16_t{53}}, std::pair{2u, uint16_t{54}}}) {
    for (const uint16_t offset : {uint16_t{32}, uint16_t{16}, uint16_t{0}}) {
      Octets fragment(net::Ip6FragmentHeader::kSize);
      net::Ip6FragmentHeader{net::kProtocolUdp, offset, offset != 32, id}.emit(fragment);
      fragment = fragment + (offset == 0 ? udp(4000, port, Octets(8)) : Octets(16));
      send(ip6({.source = ip6_of("2001:db8:1::2"),
                .destination = ip6_of("2001:db8:2::2"),
                .next_header = net::kIp6Fragment},
               fragment));
    }
  }
  loop.run_for(10ms);
  right.b().remove_tap(&seen);
  EXPECT_EQ(seen.in.size(), 3u);
  EXPECT_EQ(count(r, "ip6-sv-reassembly", "held"), 4u);
  EXPECT_EQ(count(r, "ip6-acl-input", "no_rule"), 3u);
}

// The first has further extension headers behind the fragment header, of which the others know no
// more than the number of the next.
TEST_F(Filter, ip6_fragments_behind_further_headers_are_judged_by_the_ports_of_the_first) {
  permit_port_53();
  ASSERT_TRUE(reaches(a, b, "2001:db8:2::2", 53));  // The neighbours are known.
  Recorder seen;
  right.b().add_tap(&seen);
  const Octets padding = {net::kProtocolUdp, 0, 1, 4, 0, 0, 0, 0};  // Destination options.
  uint32_t id = 1;
  for (const uint16_t port : {uint16_t{53}, uint16_t{54}}) {
    for (const bool is_first_last : {false, true}) {
      std::vector<uint16_t> offsets = {0, 24, 40};
      if (is_first_last) std::reverse(offsets.begin(), offsets.end());
      for (const uint16_t offset : offsets) {
        Octets fragment(net::Ip6FragmentHeader::kSize);
        net::Ip6FragmentHeader{net::kIp6DestinationOptions, offset, offset != 40, id}.emit(
            fragment);
        fragment = fragment + (offset == 0 ? padding + udp(4000, port, Octets(8)) : Octets(16));
        send(ip6({.source = ip6_of("2001:db8:1::2"),
                  .destination = ip6_of("2001:db8:2::2"),
                  .next_header = net::kIp6Fragment},
                 fragment));
      }
      ++id;
    }
  }
  loop.run_for(10ms);
  right.b().remove_tap(&seen);
  EXPECT_EQ(seen.in.size(), 6u);
  EXPECT_EQ(count(r, "ip6-acl-input", "no_rule"), 6u);
}

TEST_F(Filter, drops_fragments_that_hide_the_flags_of_tcp) {
  AclRule tcp = rule(AclAction::Permit, "0.0.0.0/0", "0.0.0.0/0", net::kProtocolTcp);
  AclRule tcp6 = rule(AclAction::Permit, "::/0", "::/0", net::kProtocolTcp);
  MUST(r.acls().bind(kLeft, AclTable::kInput, {MUST(r.acls().add({tcp, discovery(), tcp6}))}));
  struct Case {
    uint16_t offset;
    bool more;
    uint32_t size;
    bool is_tiny;
  };
  const Case cases[] = {{0, true, 8, true},
                        {0, true, 16, false},
                        {8, true, 16, true},
                        {8, false, 100, true},
                        {16, false, 8, false}};
  for (const Case& c : cases) {
    const uint64_t before4 = count(r, "ip4-acl-input", "tiny_fragment");
    send(ip4({.source = net::Ip4::of(10, 1, 0, 2),
              .destination = net::Ip4::of(10, 2, 0, 2),
              .protocol = net::kProtocolTcp,
              .id = 7,
              .more_fragments = c.more,
              .fragment_offset = c.offset},
             Octets(c.size)));
    EXPECT_EQ(count(r, "ip4-acl-input", "tiny_fragment") - before4, c.is_tiny ? 1u : 0u) << c.size;
    const uint64_t before6 = count(r, "ip6-acl-input", "tiny_fragment");
    Octets fragment(net::Ip6FragmentHeader::kSize);
    net::Ip6FragmentHeader{net::kProtocolTcp, c.offset, c.more, 7}.emit(fragment);
    send(ip6({.source = ip6_of("2001:db8:1::2"),
              .destination = ip6_of("2001:db8:2::2"),
              .next_header = net::kIp6Fragment},
             fragment + Octets(c.size)));
    EXPECT_EQ(count(r, "ip6-acl-input", "tiny_fragment") - before6, c.is_tiny ? 1u : 0u) << c.size;
  }
}

TEST_F(Filter, filters_ip6_too) {
  MUST(r.acls().bind(
      kLeft, AclTable::kInput,
      {MUST(r.acls().add({rule(AclAction::Deny, "2001:db8:1::2/128", "::/0", net::kProtocolIcmp6),
                          rule(AclAction::Permit, "::/0", "::/0")}))}));
  EXPECT_EQ(ping(a, "2001:db8:2::2", {.count = 1}).received, 0u);
  EXPECT_GE(count(r, "ip6-acl-input", "denied"), 1u);
}

TEST_F(Filter, names_the_rule_that_cannot_be) {
  AclRule bad = rule(AclAction::Permit, "10.0.0.0/8", "::/0");
  EXPECT_EQ(r.acls().add({bad}).error().text, "rule 0: source and destination of two families");
  bad = rule(AclAction::Permit, "10.0.0.0/8", "0.0.0.0/0", 47);
  bad.source_ports = {1, 2};
  EXPECT_EQ(r.acls().add({bad}).error().text, "rule 0: protocol 47 has no ports");
  bad.protocol = 6;
  bad.source_ports = {2, 1};
  EXPECT_FALSE(r.acls().add({bad}));
  EXPECT_FALSE(r.acls().bind(kLeft, AclTable::kInput, {3}));
  const uint32_t acl = MUST(r.acls().add({}));
  MUST(r.acls().bind(kLeft, AclTable::kInput, {acl}));
  EXPECT_EQ(r.acls().remove(acl).error().text, "acl 0: interface left uses it");
  MUST(r.acls().bind(kLeft, AclTable::kInput, {}));
  MUST(r.acls().remove(acl));
}

TEST_F(Filter, bounds_sessions) {
  AclKey key{ip("10.0.0.1"), ip("10.0.0.2"), net::kProtocolUdp, 0, true, 1, 2};
  MUST(r.acls().bind(kLeft, AclTable::kInput,
                     {MUST(r.acls().add({rule(AclAction::Reflect, "0.0.0.0/0", "0.0.0.0/0")}))}));
  for (uint32_t i = 0; i < AclTable::kMaxSessions + 10; ++i) {
    key.source = net::Ip4{0x0b000000 + i};
    EXPECT_EQ(r.acls().judge(kLeft, AclTable::kInput, key), AclTable::Verdict::Permit);
  }
  EXPECT_EQ(r.acls().sessions(), AclTable::kMaxSessions);
  EXPECT_EQ(r.acls().evicted(), 10u);
}

// Forwarding waits for no more than some.
TEST_F(Filter, ends_few_sessions_at_a_time) {
  AclKey key{ip("10.0.0.1"), ip("10.0.0.2"), net::kProtocolUdp, 0, true, 1, 2};
  AclTable& acls = r.acls();
  MUST(acls.bind(kLeft, AclTable::kInput,
                 {MUST(acls.add({rule(AclAction::Reflect, "0.0.0.0/0", "0.0.0.0/0")}))}));
  for (uint32_t i = 0; i < 10'000; ++i) {
    key.source = net::Ip4{0x0b000000 + i};
    acls.judge(kLeft, AclTable::kInput, key);
  }
  size_t most = 0, before = acls.sessions();
  for (const Instant end = loop.now() + 41s; loop.now() < end; before = acls.sessions()) {
    loop.run_for(100us);
    most = std::max(most, before - acls.sessions());
  }
  EXPECT_EQ(acls.sessions(), 0u);
  EXPECT_LE(most, 512u);
}

TEST_F(Filter, ends_the_sessions_of_an_interface_that_goes) {
  AclKey key{ip("10.0.0.1"), ip("10.0.0.2"), net::kProtocolUdp, 0, true, 1, 2};
  const uint32_t any = MUST(r.acls().add({rule(AclAction::Reflect, "0.0.0.0/0", "0.0.0.0/0")}));
  for (const uint16_t i : {kLeft, kRight}) {
    MUST(r.acls().bind(i, AclTable::kInput, {any}));
    r.acls().judge(i, AclTable::kInput, key);
  }
  MUST(r.detach(kLeft));
  EXPECT_EQ(r.acls().sessions(), 1u);
}

TEST_F(Filter, polices_to_a_rate) {
  EXPECT_TRUE(reaches(a, b, "10.2.0.2", 9));  // The neighbours are known.
  MUST(r.policers().add({.name = "p", .rate = Rate::bits_per_second(8000), .burst = Bytes(1000)}));
  MUST(r.policers().bind(kLeft, PolicerSide::Input, "p"));
  auto source = MUST(a.open_udp({.port = 4000}, [](const UdpDatagram&) {}));
  int came = 0;
  auto sink = MUST(b.open_udp({.port = 53}, [&](const UdpDatagram&) { ++came; }));
  auto burst = [&](int n) {
    for (int i = 0; i < n; ++i) {
      MUST(source->send(ip("10.2.0.2"), 53, std::vector<uint8_t>(72)));  // 100 bytes of IP.
    }
    loop.run_for(1ms);
    return std::exchange(came, 0);
  };
  EXPECT_EQ(burst(20), 10);
  loop.run_for(500ms);  // 500 bytes more.
  EXPECT_EQ(burst(20), 5);
  EXPECT_EQ(count(r, "ip4-policer-input", "exceed"), 25u);
  EXPECT_FALSE(r.policers().remove("p"));
  MUST(r.policers().unbind(kLeft, PolicerSide::Input));
  EXPECT_EQ(burst(20), 20);
  MUST(r.policers().remove("p"));
}

TEST(Policer, tells_three_colours) {
  const Instant t{};
  Policer single({.name = "s",
                  .rate = Rate::bits_per_second(8000),
                  .burst = Bytes(100),
                  .excess_burst = Bytes(100)});
  EXPECT_EQ(single.meter(100, t), Colour::Conform);
  EXPECT_EQ(single.meter(100, t), Colour::Exceed);
  EXPECT_EQ(single.meter(1, t), Colour::Violate);
  EXPECT_EQ(single.meter(100, t + 99ms), Colour::Violate);
  EXPECT_EQ(single.meter(100, t + 100ms), Colour::Conform);
  Policer two({.name = "t",
               .rate = Rate::bits_per_second(8000),
               .burst = Bytes(100),
               .peak = Rate::bits_per_second(16000),
               .excess_burst = Bytes(200)});
  EXPECT_EQ(two.meter(100, t), Colour::Conform);
  EXPECT_EQ(two.meter(100, t), Colour::Exceed);
  EXPECT_EQ(two.meter(100, t), Colour::Violate);
  EXPECT_EQ(two.meter(100, t + 50ms), Colour::Exceed);
}

TEST_F(Filter, refuses_policers_that_cannot_be) {
  const Rate rate = Rate::bits_per_second(1000);
  EXPECT_FALSE(r.policers().add({.name = "", .rate = rate, .burst = Bytes(1)}));
  EXPECT_FALSE(r.policers().add({.name = "x", .rate = Rate{}, .burst = Bytes(1)}));
  EXPECT_FALSE(r.policers().add({.name = "x", .rate = rate, .burst = Bytes(0)}));
  EXPECT_FALSE(r.policers().add(
      {.name = "x", .rate = rate, .burst = Bytes(1), .peak = Rate::bits_per_second(999)}));
  EXPECT_FALSE(r.policers().bind(kLeft, PolicerSide::Input, "x"));
  EXPECT_FALSE(r.policers().unbind(kLeft, PolicerSide::Input));
}

TEST_F(Filter, drops_sources_that_no_route_leads_back_to) {
  auto send_from = [&](std::string_view source) {
    net::PacketPtr p = pool.allocate();
    p->assign(ip4({.source = ip(source).v4(),
                   .destination = net::Ip4::of(10, 2, 0, 2),
                   .protocol = net::kProtocolUdp},
                  udp(1, 2)));
    net::Frame frame;
    frame.push(std::move(p));
    a.output(std::move(frame));
    loop.run_for(10ms);
    return r.graph().error_count("ip4-source-check", "failed");
  };
  MUST(r.set_source_check(kLeft, net::Family::V4, SourceCheck::Strict));
  EXPECT_EQ(send_from("10.1.0.77"), 0u);
  EXPECT_EQ(send_from("10.2.0.77"), 1u);
  EXPECT_EQ(send_from("192.0.2.1"), 2u);
  MUST(r.set_source_check(kLeft, net::Family::V4, SourceCheck::Loose));
  EXPECT_EQ(send_from("10.2.0.77"), 2u);
  EXPECT_EQ(send_from("192.0.2.1"), 3u);
  MUST(r.set_source_check(kLeft, net::Family::V4, SourceCheck::Off));
  EXPECT_EQ(send_from("192.0.2.1"), 3u);
  MUST(r.set_source_check(kLeft, net::Family::V6, SourceCheck::Strict));
  EXPECT_EQ(ping(a, "2001:db8:2::2", {.count = 1}).received, 1u);
}

}  // namespace
}  // namespace wh::vnet
