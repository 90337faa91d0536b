#include <gtest/gtest.h>

#include "net/wire/describe.h"
#include "net/wire/ip4.h"
#include "net/wire/tcp.h"

namespace wh::net {
namespace {

TEST(Describe, names_a_syn_with_its_options) {
  std::array<uint8_t, 100> bytes{};
  TcpHeader tcp;
  tcp.source_port = 33000;
  tcp.destination_port = 80;
  tcp.seq = SeqNum(7);
  tcp.flags = kTcpSyn;
  tcp.window = 65535;
  tcp.options.mss = 1460;
  tcp.options.sack_permitted = true;
  tcp.options.timestamps = TcpTimestamps{1, 0};
  tcp.options.window_scale = 7;
  Ip4Header ip;
  ip.source = Ip4::of(10, 0, 0, 1);
  ip.destination = Ip4::of(10, 0, 0, 2);
  ip.protocol = 6;
  ip.total_length = static_cast<uint16_t>(20 + tcp.size());
  ip.emit(bytes);
  tcp.emit(std::span(bytes).subspan(20));
  EXPECT_EQ(describe_ip(bytes, ip.total_length),
            "IP 10.0.0.1.33000 > 10.0.0.2.80: Flags [S], seq 7, win 65535, "
            "options [mss 1460,sackOK,TS val 1 ecr 0,wscale 7], length 0");
  EXPECT_EQ(tcp.size(), 40u);
}

}  // namespace
}  // namespace wh::net
