// What the tests of the interface play: a script and its peer.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <vector>

#include "net/checksum.h"
#include "net/wire/tcp.h"
#include "packetdrill/interface.h"
#include "tcp/segment.h"

namespace wh::packetdrill {

// A script's peer: raw segments by hand, against the table of functions.
class InterfaceTest : public ::testing::Test {
 protected:
  InterfaceTest() { packetdrill_interface_init(nullptr, &ifc); }
  ~InterfaceTest() override { ifc.free(ifc.userdata); }

  static sockaddr_in address(const char* ip, uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(MUST(net::parse_ip4(ip)).value);
    return a;
  }
  struct Received {
    net::TcpFlags flags;
    uint32_t seq = 0, ack = 0, length = 0, window = 0;
    net::TcpOptions options;
    int64_t when_us = 0;
  };
  Received receive() {
    std::vector<uint8_t> packet(70000);
    size_t size = packet.size();
    long long when = 0;
    EXPECT_EQ(ifc.netdev_receive(ifc.userdata, packet.data(), &size, &when), 0);
    EXPECT_GE(size, 40u);
    packet.resize(size);
    const auto tcp =
        net::TcpView::parse(std::span(packet).subspan(20), static_cast<uint32_t>(size - 20));
    CHECK(tcp);
    return {tcp->flags(),
            tcp->seq().value(),
            tcp->ack().value(),
            tcp->payload_size(),
            tcp->window(),
            tcp->options(),
            when};
  }
  int inject(net::TcpFlags flags, uint32_t seq, uint32_t ack, uint32_t length = 0,
             uint16_t our_port = 8080, uint16_t peer_port = 4000) {
    net::PacketPool pool;
    auto packet = pool.allocate();
    tcp::HeaderTemplate::Fields f;
    f.seq = net::SeqNum(seq);
    f.ack = net::SeqNum(ack);
    f.flags = flags;
    f.window = 32767;
    f.payload = length;
    const tcp::Endpoint peer{net::Ip4::of(192, 0, 2, 1), peer_port};
    const tcp::Endpoint us{net::Ip4::of(192, 168, 0, 1), our_port};
    tcp::HeaderTemplate(peer, us).write(*packet, f);
    const std::vector<uint8_t> payload(length, 'x');
    if (length > 0) packet->append(net::Slice{net::ChunkRef::copy_of(payload), 0, length});
    net::complete_checksum(*packet, 0);
    std::vector<uint8_t> bytes(packet->size());
    packet->copy_out(0, bytes);
    return ifc.netdev_send(ifc.userdata, bytes.data(), bytes.size());
  }
  int64_t now_us() {
    timeval t;
    ifc.gettimeofday(ifc.userdata, &t, nullptr);
    return t.tv_sec * 1'000'000 + t.tv_usec;
  }
  // A listening socket, and an accepted one in ESTABLISHED.
  int establish() {
    listener = ifc.socket(ifc.userdata, AF_INET, SOCK_STREAM, IPPROTO_TCP);
    const sockaddr_in us = address("192.168.0.1", 8080);
    EXPECT_EQ(ifc.bind(ifc.userdata, listener, reinterpret_cast<const sockaddr*>(&us), sizeof us),
              0);
    EXPECT_EQ(ifc.listen(ifc.userdata, listener, 1), 0);
    EXPECT_EQ(inject(net::kTcpSyn, 0, 0), 0);
    const Received syn_ack = receive();
    EXPECT_TRUE(syn_ack.flags.has(net::kTcpSyn | net::kTcpAck));
    iss = syn_ack.seq;
    EXPECT_EQ(inject(net::kTcpAck, 1, iss + 1), 0);
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const int fd = ifc.accept(ifc.userdata, listener, reinterpret_cast<sockaddr*>(&from), &length);
    EXPECT_EQ(ntohs(from.sin_port), 4000);
    return fd;
  }

  packetdrill_interface ifc{};
  int listener = -1;
  uint32_t iss = 0;
};

}  // namespace wh::packetdrill
