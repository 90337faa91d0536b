// DHCP between vnets: server and client on one link, and through a relay; and router
// advertisements.
#include "vnet/test_support.h"

namespace wh::vnet {
namespace {

using net::DhcpMessage;
using net::DhcpType;
using net::Ip4;

DhcpPool pool_of(const char* name = "lan") {
  DhcpPool p;
  p.name = name;
  p.network = prefix("10.0.0.0/24");
  p.first = Ip4::of(10, 0, 0, 100);
  p.last = Ip4::of(10, 0, 0, 102);
  p.router = Ip4::of(10, 0, 0, 1);
  p.dns = {Ip4::of(9, 9, 9, 9)};
  return p;
}

// Server s (10.0.0.1) and client c, without an address.
class Dhcp : public testing::Test, protected World {
 protected:
  Dhcp() {
    is = MUST(s.attach(cable.a()));
    ic = MUST(c.attach(cable.b()));
    MUST(s.add_address(is, prefix("10.0.0.1/24")));
  }
  net::Cable cable{port("eth0", 1), port("eth0", 2), loop};
  Vnet s{{.name = "s"}, loop, pool, random.fork("s")};
  Vnet c{{.name = "c"}, loop, pool, random.fork("c")};
  uint16_t is = 0, ic = 0;
};

TEST_F(Dhcp, gives_an_address_and_a_default_route_and_keeps_them) {
  MUST(s.dhcp().add_pool(pool_of()));
  MUST(c.dhcp_clients().add(ic));
  loop.run_for(1s);
  const DhcpClient& client = *c.dhcp_clients().clients()[0];
  EXPECT_EQ(client.state(), DhcpClient::State::Bound);
  EXPECT_EQ(client.address(), prefix("10.0.0.100/24"));
  EXPECT_EQ(client.dns(), std::vector<Ip4>{Ip4::of(9, 9, 9, 9)});
  EXPECT_EQ(ping(c, "10.0.0.1", {.count = 1}).received, 1u);
  EXPECT_TRUE(c.route(ip("192.0.2.1")));
  ASSERT_EQ(s.dhcp().server().leases("lan").size(), 1u);
  EXPECT_EQ(s.dhcp().server().leases("lan")[0].state, DhcpLease::State::Bound);
  // Renewed at half its time, it does not end.
  loop.run_for(3 * 3600s);
  EXPECT_EQ(client.state(), DhcpClient::State::Bound);
  EXPECT_EQ(client.address(), prefix("10.0.0.100/24"));
  MUST(c.dhcp_clients().remove(ic));
  loop.run_for(1s);
  EXPECT_EQ(s.dhcp().server().leases("lan")[0].state, DhcpLease::State::Free);
  EXPECT_FALSE(c.is_local(ip("10.0.0.100")));
  EXPECT_FALSE(c.route(ip("192.0.2.1")));
}

TEST_F(Dhcp, keeps_a_lease_for_ever_without_asking) {
  DhcpPool p = pool_of();
  p.lease = std::chrono::seconds(0xffffffff);
  MUST(s.dhcp().add_pool(p));
  MUST(c.dhcp_clients().add(ic));
  loop.run_for(10 * 24h);
  EXPECT_EQ(c.dhcp_clients().clients()[0]->state(), DhcpClient::State::Bound);
  EXPECT_EQ(s.dhcp().counters().received, 2u);
}

// Whatever a server says of the times.
TEST_F(Dhcp, does_not_ask_without_end_for_a_renewal_at_once) {
  DhcpClient client(c, ic);
  uint64_t asked = 0;
  auto server = MUST(s.open_udp({.port = 67}, [&](const UdpDatagram& d) {
    DhcpMessage m = *DhcpMessage::parse(d.payload());
    ++asked;
    m.is_reply = true;
    m.type = m.type == DhcpType::Discover ? DhcpType::Offer : DhcpType::Ack;
    m.yours = Ip4::of(10, 0, 0, 7);
    m.server = Ip4::of(10, 0, 0, 1);
    m.lease_s = 3600;
    m.renew_s = m.rebind_s = 0;
    client.receive(m);
  }));
  loop.run_for(3000s);
  EXPECT_EQ(client.state(), DhcpClient::State::Bound);
  EXPECT_EQ(asked, 3u);
}

TEST_F(Dhcp, loses_its_address_when_the_server_is_gone) {
  MUST(s.dhcp().add_pool(pool_of()));
  MUST(c.dhcp_clients().add(ic));
  loop.run_for(1s);
  MUST(s.dhcp().remove_pool("lan"));
  loop.run_for(3590s);
  EXPECT_EQ(c.dhcp_clients().clients()[0]->state(), DhcpClient::State::Rebinding);
  EXPECT_TRUE(c.is_local(ip("10.0.0.100")));
  loop.run_for(20s);
  EXPECT_FALSE(c.is_local(ip("10.0.0.100")));
  MUST(s.dhcp().add_pool(pool_of()));
  loop.run_for(200s);
  EXPECT_EQ(c.dhcp_clients().clients()[0]->state(), DhcpClient::State::Bound);
}

TEST_F(Dhcp, runs_out_of_addresses_and_gives_the_same_again) {
  MUST(s.dhcp().add_pool(pool_of()));
  DhcpServer server(s);
  MUST(server.add(pool_of("x")));
  auto ask = [&](uint32_t n, DhcpType type, std::optional<Ip4> requested = {}) {
    DhcpMessage m;
    m.type = type;
    m.mac = net::MacAddress::local(n);
    m.requested = requested;
    if (type == DhcpType::Request) m.server = Ip4::of(10, 0, 0, 1);
    return server.answer(m, Ip4::of(10, 0, 0, 1));
  };
  for (uint32_t n = 0; n < 3; ++n) {
    const auto offer = ask(n, DhcpType::Discover);
    ASSERT_TRUE(offer);
    EXPECT_EQ(offer->yours, Ip4::of(10, 0, 0, static_cast<uint8_t>(100 + n)));
    EXPECT_EQ(ask(n, DhcpType::Request, offer->yours)->type, DhcpType::Ack);
  }
  EXPECT_FALSE(ask(3, DhcpType::Discover));
  EXPECT_EQ(ask(1, DhcpType::Discover)->yours, Ip4::of(10, 0, 0, 101));
  EXPECT_EQ(ask(4, DhcpType::Request, Ip4::of(10, 0, 0, 101))->type, DhcpType::Nak);
  // A declined address rests, and others that ended are given.
  ask(2, DhcpType::Decline, Ip4::of(10, 0, 0, 102));
  EXPECT_FALSE(ask(3, DhcpType::Discover));
  loop.run_for(601s);
  EXPECT_EQ(ask(3, DhcpType::Discover)->yours, Ip4::of(10, 0, 0, 102));
}

TEST_F(Dhcp, gives_the_address_that_is_free_for_longest) {
  DhcpServer server(s);
  DhcpPool p = pool_of();
  p.fixed[net::MacAddress::local(50)] = Ip4::of(10, 0, 0, 101);
  p.last = Ip4::of(10, 0, 0, 104);
  MUST(server.add(p));
  const Ip4 own = Ip4::of(10, 0, 0, 1);
  auto bind = [&](uint32_t n) -> std::string {
    DhcpMessage m;
    m.type = DhcpType::Discover;
    m.mac = net::MacAddress::local(n);
    const auto offer = server.answer(m, own);
    if (!offer) return "none";
    m.type = DhcpType::Request;
    m.requested = offer->yours;
    m.server = own;
    return to_string(server.answer(m, own)->yours);
  };
  auto release = [&](uint32_t n, uint8_t host) {
    DhcpMessage m;
    m.type = DhcpType::Release;
    m.mac = net::MacAddress::local(n);
    m.client = Ip4::of(10, 0, 0, host);
    server.answer(m, own);
  };
  EXPECT_EQ(bind(50), "10.0.0.101");
  std::string all;
  for (uint32_t n = 0; n < 4; ++n) all += bind(n) + " ";
  EXPECT_EQ(all, "10.0.0.100 10.0.0.102 10.0.0.103 10.0.0.104 ");
  for (const auto& [n, host] : {std::pair(2, 103), {50, 101}, {0, 100}}) {
    loop.run_for(1s);
    release(static_cast<uint32_t>(n), static_cast<uint8_t>(host));
  }
  EXPECT_EQ(bind(7), "10.0.0.103");
  EXPECT_EQ(bind(8), "10.0.0.100");
  EXPECT_EQ(bind(9), "none") << "the other free one is fixed";
  // A lease that has ended, and was not given back; the one renewed meanwhile is not among them.
  loop.run_for(1800s);
  EXPECT_EQ(bind(1), "10.0.0.102");
  loop.run_for(1801s);
  EXPECT_EQ(bind(9), "10.0.0.104");
}

TEST_F(Dhcp, gives_no_networks_own_nor_broadcast_address) {
  DhcpServer server(s);
  DhcpPool p = pool_of();
  p.network = prefix("10.0.0.0/30");
  p.first = Ip4::of(10, 0, 0, 0);
  p.last = Ip4::of(10, 0, 0, 3);
  MUST(server.add(p));
  DhcpMessage m;
  m.type = DhcpType::Discover;
  m.mac = net::MacAddress::local(7);
  const auto offer = server.answer(m, Ip4::of(10, 0, 0, 1));
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->yours, Ip4::of(10, 0, 0, 2));
  m.mac = net::MacAddress::local(8);
  EXPECT_FALSE(server.answer(m, Ip4::of(10, 0, 0, 1)));
}

TEST_F(Dhcp, keeps_a_fixed_address_for_its_client) {
  DhcpPool p = pool_of();
  p.fixed[cable.b().mac()] = Ip4::of(10, 0, 0, 50);
  MUST(s.dhcp().add_pool(p));
  MUST(c.dhcp_clients().add(ic));
  loop.run_for(1s);
  EXPECT_TRUE(c.is_local(ip("10.0.0.50")));
}

TEST_F(Dhcp, refuses_pools_that_cannot_be) {
  DhcpPool p = pool_of();
  p.last = Ip4::of(10, 0, 1, 5);
  EXPECT_EQ(s.dhcp().add_pool(p).error().text,
            "dhcp pool 'lan': 10.0.0.100 to 10.0.1.5 is not in 10.0.0.0/24");
  p.last = Ip4::of(10, 0, 0, 99);
  EXPECT_FALSE(s.dhcp().add_pool(p));
  EXPECT_FALSE(s.dhcp().remove_pool("lan"));
  EXPECT_FALSE(c.dhcp().set_relay(ic, {})) << "no servers";
  EXPECT_FALSE(c.dhcp_clients().add(99));
}

// a asks; r relays to b, which serves a's network.
class Relays : public RouterTest {
 protected:
  void expect_relayed() {
    MUST(a.remove_address(ia, ip("10.1.0.2")));
    DhcpPool p = pool_of();
    p.network = prefix("10.1.0.0/24");
    p.first = Ip4::of(10, 1, 0, 100);
    p.last = Ip4::of(10, 1, 0, 110);
    p.router = Ip4::of(10, 1, 0, 1);
    MUST(b.dhcp().add_pool(p));
    MUST(r.dhcp().set_relay(1, {Ip4::of(10, 2, 0, 2)}));
    MUST(a.dhcp_clients().add(ia));
    loop.run_for(5s);
    EXPECT_TRUE(a.is_local(ip("10.1.0.100")));
    EXPECT_EQ(r.dhcp().counters().relayed_up, 2u);
    EXPECT_EQ(r.dhcp().counters().relayed_down, 2u);
    EXPECT_EQ(ping(a, "10.2.0.2", {.count = 1}).received, 1u);
  }
};

TEST_F(Relays, between_client_and_server) {
  expect_relayed();
}

TEST_F(Relays, in_the_table_of_the_clients) {
  MUST(r.add_vrf(7));
  for (const uint16_t i : {uint16_t{1}, uint16_t{2}}) {
    for (const char* net : {"10.", "2001:db8:"}) {
      const std::string end = net[2] == '.' ? ".0.1" : "::1";
      MUST(r.remove_address(i, ip(net + std::to_string(i) + end)));
    }
    MUST(r.set_vrf(i, 7));
    MUST(r.add_address(i, prefix("10." + std::to_string(i) + ".0.1/24")));
  }
  expect_relayed();
}

// Only a server that was asked may answer through the relay.
TEST_F(RouterTest, relays_no_strangers_answer) {
  MUST(r.dhcp().set_relay(1, {Ip4::of(10, 2, 0, 2)}));
  DhcpMessage reply;
  reply.is_reply = true;
  reply.type = DhcpType::Offer;
  reply.relay = Ip4::of(10, 1, 0, 1);
  reply.yours = Ip4::of(10, 1, 0, 66);
  reply.mac = net::MacAddress::local(66);
  for (const char* from : {"10.2.0.9", "10.2.0.2"}) {
    if (!b.is_local(ip(from))) MUST(b.add_address(ib, prefix(std::string(from) + "/24")));
    auto socket = MUST(b.open_udp({.address = ip(from), .port = 67}, [](const UdpDatagram&) {}));
    MUST(socket->send(ip("10.1.0.1"), 67, reply.emit()));
    loop.run_for(100ms);
  }
  EXPECT_EQ(r.dhcp().counters().relay_refused, 1u);
  EXPECT_EQ(count(r, "dhcp-server", "not_asked"), 1u);
  EXPECT_EQ(r.dhcp().counters().relayed_down, 1u);
}

TEST_F(Dhcp, counts_each_reason_by_itself) {
  MUST(s.dhcp().add_pool(pool_of()));
  MUST(c.add_address(ic, prefix("10.0.0.2/24")));
  auto socket = MUST(c.open_udp({.port = 68}, [](const UdpDatagram&) {}));
  DhcpMessage m;
  m.type = DhcpType::Discover;
  std::vector<uint8_t> cookieless = m.emit(), short_one(100), sound = m.emit();
  cookieless[236] = 0;
  m.relay = Ip4::of(10, 7, 0, 1);
  std::vector<uint8_t> foreign = m.emit();
  for (const auto* bytes : {&cookieless, &short_one, &foreign, &sound}) {
    MUST(socket->send(ip("10.0.0.1"), 67, *bytes));
    loop.run_for(100ms);
  }
  EXPECT_EQ(count(s, "dhcp-server", "dhcp_no_cookie"), 1u);
  EXPECT_EQ(count(s, "dhcp-server", "dhcp_truncated"), 1u);
  EXPECT_EQ(count(s, "dhcp-server", "no_answer"), 1u);
  EXPECT_EQ(s.dhcp().counters().answered, 1u);
}

TEST(DhcpMessageTest, parses_what_it_emits_and_nothing_cut_short) {
  DhcpMessage m;
  m.is_reply = true;
  m.xid = 0x12345678;
  m.yours = Ip4::of(10, 0, 0, 9);
  m.mac = net::MacAddress::local(3);
  m.type = DhcpType::Ack;
  m.server = Ip4::of(10, 0, 0, 1);
  m.mask = Ip4::of(255, 255, 255, 0);
  m.dns = {Ip4::of(1, 1, 1, 1), Ip4::of(2, 2, 2, 2)};
  m.lease_s = 3600;
  m.client_id = {1, 2, 3};
  m.relay_info = {9, 9};
  const auto bytes = m.emit();
  EXPECT_EQ(*DhcpMessage::parse(bytes), m);
  for (size_t n = 0; n < bytes.size(); ++n) {
    (void)DhcpMessage::parse(std::span(bytes).first(n));  // Whatever it says, it reads no further.
  }
  EXPECT_EQ(DhcpMessage::parse(std::span(bytes).first(239)).fault(), net::DhcpFault::Truncated);
  EXPECT_EQ(DhcpMessage::parse(std::span(bytes).first(240)).fault(), net::DhcpFault::NoType);
}

TEST_F(RouterTest, advertises_itself_and_answers_solicitations) {
  MUST(r.advertiser().enable(1, {}));
  Recorder seen;
  left.a().add_tap(&seen);
  loop.run_for(1s);
  auto advertisements = [&] {
    std::vector<net::RouterAdvertisement> all;
    for (const Octets& bytes : seen.in) {
      if (bytes.size() < 54 + 16 || bytes[20] != net::kProtocolIcmp6 || bytes[54] != 134) continue;
      all.push_back(net::Icmp6View::parse(std::span(bytes).subspan(54))->router_advertisement());
    }
    seen.in.clear();
    return all;
  };
  auto first = advertisements();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].router_lifetime, std::chrono::seconds(1800));
  ASSERT_EQ(first[0].prefix_count, 1u);
  EXPECT_EQ(net::IpAddress(first[0].prefixes[0].prefix), ip("2001:db8:1::"));
  EXPECT_TRUE(first[0].prefixes[0].autonomous);
  EXPECT_EQ(first[0].mtu, 1500u);
  loop.run_for(60s);
  EXPECT_EQ(advertisements().size(), 3u);  // The other initial ones.
  // A solicitation is answered within half a second.
  const net::Ip6 own = net::Ip6::link_local(left.a().mac());
  net::Ip6 routers = ip("ff02::2").v6();
  net::PacketPtr p = pool.allocate();
  p->assign(ethernet(net::MacAddress{{0x33, 0x33, 0, 0, 0, 2}}, left.a().mac(), net::EtherType::Ip6,
                     discovery(own, routers, net::RouterSolicitation{left.a().mac()})));
  net::Frame frame;
  frame.push(std::move(p));
  left.b().receive(std::move(frame));
  loop.run_for(500ms);
  EXPECT_EQ(advertisements().size(), 1u);
  EXPECT_EQ(r.advertiser().rows()[0].solicited, 1u);
  MUST(r.advertiser().disable(1));
  loop.run_for(10ms);
  const auto last = advertisements();
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].router_lifetime, std::chrono::seconds(0));
  loop.run_for(3600s);
  EXPECT_TRUE(advertisements().empty());
  EXPECT_FALSE(r.advertiser().disable(1));
  left.a().remove_tap(&seen);
}

// RFC 4861 sections 6.2.1, 6.2.4 and 6.2.5.
TEST_F(RouterTest, advertisements_keep_apart_and_end_with_a_last_one) {
  Recorder seen;
  left.a().add_tap(&seen);
  std::vector<std::pair<Instant, std::chrono::seconds>> all;  // When, and the lifetime.
  auto run = [&](Duration time) {
    for (const Instant end = loop.now() + time; loop.now() < end; loop.run_for(10ms)) {
      for (const Octets& bytes : seen.in) {
        if (bytes.size() < 70 || bytes[20] != net::kProtocolIcmp6 || bytes[54] != 134) continue;
        const auto m = net::Icmp6View::parse(std::span(bytes).subspan(54));
        all.emplace_back(loop.now(), m->router_advertisement().router_lifetime);
      }
      seen.in.clear();
    }
  };
  MUST(r.advertiser().enable(1, {.max_interval = 4s}));
  run(100s);
  ASSERT_GE(all.size(), 25u);
  for (size_t i = 1; i < all.size(); ++i) {
    EXPECT_GE(all[i].first - all[i - 1].first, 2990ms) << i;
    EXPECT_LE(all[i].first - all[i - 1].first, 4010ms) << i;
  }
  MUST(r.advertiser().enable(1, {.max_interval = 1800s}));
  run(60s);
  all.clear();
  MUST(r.set_up(1, false));
  run(1s);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].second, std::chrono::seconds(0));
  MUST(r.set_up(1, true));
  run(4s);
  ASSERT_EQ(all.size(), 2u) << "hosts do not wait for half an hour";
  EXPECT_EQ(all[1].second, std::chrono::seconds(1800));
  EXPECT_GE(all[1].first - all[0].first, 2990ms);
  MUST(r.detach(1));
  run(1s);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[2].second, std::chrono::seconds(0));
  left.a().remove_tap(&seen);
}

}  // namespace
}  // namespace wh::vnet
