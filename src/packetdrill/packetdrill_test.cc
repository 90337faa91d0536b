// The interface as packetdrill uses it: calls, raw packets, virtual time, a second thread.
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include <arpa/inet.h>
#include <fcntl.h>

#include <cstring>
#include <thread>

#include "packetdrill/control.h"
#include "packetdrill/test_support.h"
#include "packetdrill/world.h"
#include "tcp/socket_option.h"

namespace wh::packetdrill {
namespace {

TEST_F(InterfaceTest, memory_that_is_nowhere_is_efault_and_takes_nothing) {
  const int fd = establish();
  const sockaddr_in peer = address("192.0.2.1", 4000);
  const auto is_efault = [](int64_t result) { return result == -1 && errno == EFAULT; };
  EXPECT_TRUE(is_efault(ifc.write(ifc.userdata, fd, nullptr, 1000)));
  EXPECT_TRUE(is_efault(ifc.send(ifc.userdata, fd, nullptr, 1000, 0)));
  EXPECT_TRUE(is_efault(ifc.sendto(ifc.userdata, fd, nullptr, 1000, 0,
                                   reinterpret_cast<const sockaddr*>(&peer), sizeof peer)));
  EXPECT_TRUE(is_efault(ifc.writev(ifc.userdata, fd, nullptr, 2)));
  EXPECT_TRUE(is_efault(ifc.poll(ifc.userdata, nullptr, 1, 0)));
  EXPECT_EQ(inject(net::kTcpAck | net::kTcpPsh, 1, iss + 1, 1000), 0);
  EXPECT_TRUE(is_efault(ifc.read(ifc.userdata, fd, nullptr, 1000)));
  EXPECT_TRUE(is_efault(ifc.readv(ifc.userdata, fd, nullptr, 2)));
  EXPECT_EQ(ifc.read(ifc.userdata, fd, nullptr, 0), 0);
  char bytes[1000];
  EXPECT_EQ(ifc.read(ifc.userdata, fd, bytes, sizeof bytes), 1000);
}

// As sopoll() has it: the end is told of before what came before it is read.
TEST_F(InterfaceTest, poll_tells_of_the_peers_fin_behind_unread_data) {
  const int fd = establish();
  EXPECT_EQ(inject(net::kTcpAck | net::kTcpFin, 1, iss + 1, 100), 0);
  pollfd p{fd, POLLIN | POLLRDHUP, 0};
  EXPECT_EQ(ifc.poll(ifc.userdata, &p, 1, 0), 1);
  EXPECT_EQ(p.revents, POLLIN | POLLRDHUP);
  EXPECT_EQ(ifc.shutdown(ifc.userdata, fd, SHUT_WR), 0);
  EXPECT_EQ(ifc.poll(ifc.userdata, &p, 1, 0), 1);
  EXPECT_EQ(p.revents, POLLIN | POLLRDHUP | POLLHUP);
}

TEST_F(InterfaceTest, offers_what_freebsd_offers) {
  const int fd = ifc.socket(ifc.userdata, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
  const sockaddr_in peer = address("192.0.2.1", 8080);
  errno = 0;
  EXPECT_EQ(ifc.connect(ifc.userdata, fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer),
            -1);
  EXPECT_EQ(errno, EINPROGRESS);
  const Received syn = receive();
  EXPECT_TRUE(syn.flags.has(net::kTcpSyn));
  EXPECT_EQ(syn.window, 65535u);
  EXPECT_EQ(syn.options.mss, 1460);
  EXPECT_EQ(syn.options.window_scale, 6);
  EXPECT_TRUE(syn.options.sack_permitted && syn.options.timestamps);
  EXPECT_EQ(receive().when_us - syn.when_us, 1'000'000);  // Again after rexmit_initial.
}

TEST_F(InterfaceTest, every_reading_of_the_clock_moves_it) {
  const int64_t before = now_us();
  EXPECT_EQ(now_us(), before + 1);
  ifc.usleep(ifc.userdata, 500'000);
  EXPECT_EQ(now_us(), before + 500'002);
}

TEST_F(InterfaceTest, takes_data_and_says_when_there_is_none) {
  const int fd = establish();
  ASSERT_GE(fd, 0);
  ifc.fcntl(ifc.userdata, fd, F_SETFL, O_NONBLOCK);
  uint8_t buffer[100];
  EXPECT_EQ(ifc.read(ifc.userdata, fd, buffer, sizeof buffer), -1);
  EXPECT_EQ(errno, EAGAIN);
  inject(net::kTcpAck, 1, iss + 1, 30);
  EXPECT_EQ(ifc.recv(ifc.userdata, fd, buffer, sizeof buffer, MSG_PEEK), 30);
  EXPECT_EQ(ifc.recv(ifc.userdata, fd, buffer, sizeof buffer, 0), 30);
  inject(net::kTcpFin | net::kTcpAck, 31, iss + 1);
  EXPECT_EQ(ifc.read(ifc.userdata, fd, buffer, sizeof buffer), 0);
  pollfd p{fd, POLLIN | POLLOUT, 0};
  EXPECT_EQ(ifc.poll(ifc.userdata, &p, 1, 0), 1);
  EXPECT_EQ(p.revents, POLLIN | POLLOUT);
}

TEST_F(InterfaceTest, reports_a_reset_once) {
  const int fd = establish();
  inject(net::kTcpRst, 1, 0);
  EXPECT_EQ(ifc.write(ifc.userdata, fd, "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);  // And leaves the error to who asks for it.
  int error = 0;
  socklen_t length = sizeof error;
  EXPECT_EQ(ifc.getsockopt(ifc.userdata, fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
  EXPECT_EQ(error, ECONNRESET);
  EXPECT_EQ(ifc.getsockopt(ifc.userdata, fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
  EXPECT_EQ(error, 0);
  EXPECT_EQ(ifc.write(ifc.userdata, fd, "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
}

// The second thread's call ends at the instant that ended it, although the first runs on.
TEST_F(InterfaceTest, blocked_call_returns_at_its_own_time) {
  const int fd = establish();
  int64_t returned = 0;
  const int64_t began = now_us();
  std::thread reader([&] {
    uint8_t buffer[100];
    EXPECT_EQ(ifc.read(ifc.userdata, fd, buffer, sizeof buffer), 10);
    returned = now_us();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ifc.usleep(ifc.userdata, 100'000);
  inject(net::kTcpAck, 1, iss + 1, 10);
  ifc.usleep(ifc.userdata, 900'000);
  reader.join();
  EXPECT_NEAR(static_cast<double>(returned - began), 100'000, 3);
}

// Neither may wait for what the window does not let come.
TEST_F(InterfaceTest, waits_for_all_of_more_than_the_buffer_holds) {
  const int fd = establish(), size = 4000;
  ifc.setsockopt(ifc.userdata, fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  std::vector<uint8_t> buffer(70000);
  ssize_t got = 0;
  std::thread reader(
      [&] { got = ifc.recv(ifc.userdata, fd, buffer.data(), buffer.size(), MSG_WAITALL); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  for (uint32_t at = 0; at < 70000; at += 1000) {
    inject(net::kTcpAck, 1 + at, iss + 1, 1000);
    ifc.usleep(ifc.userdata, 1000);
  }
  ifc.usleep(ifc.userdata, 100'000);
  reader.join();
  EXPECT_EQ(got, 70000);
}

TEST_F(InterfaceTest, low_water_is_no_more_than_can_come) {
  const int fd = establish(), size = 4000, low = 20000;
  ifc.setsockopt(ifc.userdata, fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  ifc.setsockopt(ifc.userdata, fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
  pollfd asked{fd, POLLIN, 0};
  for (uint32_t at = 0; at < 65000; at += 1000) inject(net::kTcpAck, 1 + at, iss + 1, 1000);
  ifc.usleep(ifc.userdata, 100'000);
  EXPECT_EQ(ifc.poll(ifc.userdata, &asked, 1, 0), 1);
}

TEST_F(InterfaceTest, accept_tells_of_a_connection_that_was_reset) {
  ifc.close(ifc.userdata, establish());
  inject(net::kTcpSyn, 0, 0, 0, 8080, 4001);
  uint32_t theirs = 0;
  for (Received r = receive(); theirs == 0; r = receive()) {
    if (r.flags.has(net::kTcpSyn)) theirs = r.seq;
  }
  inject(net::kTcpAck, 1, theirs + 1, 0, 8080, 4001);
  inject(net::kTcpRst, 1, 0, 0, 8080, 4001);
  ifc.fcntl(ifc.userdata, listener, F_SETFL, O_RDWR | O_NONBLOCK);
  EXPECT_EQ(ifc.accept(ifc.userdata, listener, nullptr, nullptr), -1);
  EXPECT_EQ(errno, ECONNABORTED);
  EXPECT_EQ(ifc.accept(ifc.userdata, listener, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST_F(InterfaceTest, fills_linux_tcp_info) {
  const int fd = establish();
  tcp_info info{};
  socklen_t length = sizeof info;
  EXPECT_EQ(ifc.getsockopt(ifc.userdata, fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
  EXPECT_EQ(length, sizeof info);
  EXPECT_EQ(info.tcpi_state, 1);
  EXPECT_EQ(info.tcpi_snd_mss, 536u);
  EXPECT_EQ(info.tcpi_snd_cwnd, 10u);
  // And by the program's own call, as packetdrill's code blocks read it.
  length = sizeof info;
  EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
}

TEST_F(InterfaceTest, names_bad_calls) {
  EXPECT_EQ(ifc.read(ifc.userdata, 12345, nullptr, 0), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(ifc.socket(ifc.userdata, AF_UNIX, SOCK_STREAM, 0), -1);
  EXPECT_EQ(errno, EAFNOSUPPORT);
  const int fd = ifc.socket(ifc.userdata, AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(ifc.write(ifc.userdata, fd, "x", 1), -1);
  EXPECT_EQ(errno, ENOTCONN);
  int value = 0;
  EXPECT_EQ(ifc.setsockopt(ifc.userdata, fd, IPPROTO_TCP, 9999, &value, sizeof value), -1);
  EXPECT_EQ(errno, ENOPROTOOPT);
  EXPECT_EQ(ifc.setsockopt(ifc.userdata, fd, SOL_SOCKET, SO_RCVBUF, &value, 1), -1);
  EXPECT_EQ(errno, EINVAL);
  const uint8_t nonsense[] = {0xff, 1, 2};
  EXPECT_EQ(ifc.netdev_send(ifc.userdata, nonsense, sizeof nonsense), -1);
}

// packetdrill draws its addresses at random.
TEST_F(InterfaceTest, listens_at_any_address_that_a_host_may_have) {
  for (const char* ip : {"192.168.7.255", "192.168.7.0", "192.168.255.255", "192.168.0.0"}) {
    const int fd = ifc.socket(ifc.userdata, AF_INET, SOCK_STREAM, IPPROTO_TCP);
    const sockaddr_in us = address(ip, 8080);
    EXPECT_EQ(ifc.bind(ifc.userdata, fd, reinterpret_cast<const sockaddr*>(&us), sizeof us), 0);
    EXPECT_EQ(ifc.listen(ifc.userdata, fd, 1), 0) << ip;
  }
}

// A listening IPv6 socket at `ip`; -1 when one of the calls failed, with its errno.
int listen6(packetdrill_interface& ifc, const char* ip, int v6_only) {
  const int fd = ifc.socket(ifc.userdata, AF_INET6, SOCK_STREAM, IPPROTO_TCP);
  EXPECT_EQ(ifc.setsockopt(ifc.userdata, fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only),
            0);
  int is = -1;
  socklen_t length = sizeof is;
  EXPECT_EQ(ifc.getsockopt(ifc.userdata, fd, IPPROTO_IPV6, IPV6_V6ONLY, &is, &length), 0);
  EXPECT_EQ(is, v6_only);
  sockaddr_in6 us{};
  us.sin6_family = AF_INET6;
  us.sin6_port = htons(8080);
  EXPECT_EQ(inet_pton(AF_INET6, ip, &us.sin6_addr), 1);
  if (ifc.bind(ifc.userdata, fd, reinterpret_cast<const sockaddr*>(&us), sizeof us) != 0) return -1;
  return ifc.listen(ifc.userdata, fd, 1) == 0 ? fd : -1;
}

TEST_F(InterfaceTest, serves_ipv4_by_mapped_addresses) {
  for (const char* ip : {"::ffff:192.168.0.1", "::"}) {
    const int fd = listen6(ifc, ip, 0);
    ASSERT_GE(fd, 0) << ip;
    inject(net::kTcpSyn, 0, 0);
    iss = receive().seq;
    inject(net::kTcpAck, 1, iss + 1);
    sockaddr_in6 from{};
    socklen_t length = sizeof from;
    const int accepted = ifc.accept(ifc.userdata, fd, reinterpret_cast<sockaddr*>(&from), &length);
    EXPECT_GE(accepted, 0);
    EXPECT_EQ(length, sizeof from);
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof text);
    EXPECT_STREQ(text, "::ffff:192.0.2.1");
    inject(net::kTcpRst, 1, 0);
    ifc.close(ifc.userdata, accepted);
    ifc.close(ifc.userdata, fd);
  }
}

TEST_F(InterfaceTest, keeps_ipv4_from_a_socket_that_is_v6_only) {
  EXPECT_EQ(listen6(ifc, "::ffff:192.168.0.1", 1), -1);
  EXPECT_EQ(errno, EINVAL);
  ASSERT_GE(listen6(ifc, "::", 1), 0);
  inject(net::kTcpSyn, 0, 0);
  EXPECT_TRUE(receive().flags.has(net::kTcpRst));
}

TEST_F(InterfaceTest, takes_freebsds_options_for_pacing) {
  const int fd = ifc.socket(ifc.userdata, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
  const uint64_t rate = 1'500'000;
  const int profile = 2;
  const auto set = [&](int name, const void* value, socklen_t size) {
    return ifc.setsockopt(ifc.userdata, fd, IPPROTO_TCP, name, value, size);
  };
  EXPECT_EQ(set(tcp::TCP_RACK_PACE_RATE_CA, &rate, sizeof rate), 0);
  EXPECT_EQ(set(tcp::TCP_RACK_PACE_RATE_CA, &rate, 4), 0);  // As FreeBSD has it.
  EXPECT_EQ(set(tcp::TCP_RACK_PACE_RATE_CA, &rate, 2), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(set(tcp::TCP_RACK_PROFILE, &profile, sizeof profile), -1);
  const sockaddr_in peer = address("192.0.2.1", 8080);
  ifc.connect(ifc.userdata, fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
  uint64_t paced = 0;
  socklen_t length = sizeof paced;
  EXPECT_EQ(ifc.getsockopt(ifc.userdata, fd, SOL_SOCKET, SO_MAX_PACING_RATE, &paced, &length), 0);
  EXPECT_EQ(paced, rate);
}

// On a socket without a connection and on one that has it.
TEST_F(InterfaceTest, tells_why_a_pace_is_refused_and_what_is_set) {
  const int unconnected = ifc.socket(ifc.userdata, AF_INET, SOCK_STREAM, IPPROTO_TCP);
  for (const int fd : {unconnected, establish()}) {
    const auto set = [&](int name, auto value) {
      const int done = ifc.setsockopt(ifc.userdata, fd, IPPROTO_TCP, name, &value, sizeof value);
      return done == 0 ? 0 : errno;
    };
    const auto get = [&](int name) {
      uint64_t value = 0;
      socklen_t length = sizeof value;
      EXPECT_EQ(ifc.getsockopt(ifc.userdata, fd, IPPROTO_TCP, name, &value, &length), 0) << name;
      return value;
    };
    EXPECT_EQ(get(tcp::TCP_FILLCW_RATE_CAP), 3'750'000u);
    EXPECT_EQ(set(tcp::TCP_RACK_PROFILE, uint64_t{6'250'000}), 0);  // The article's listing.
    EXPECT_EQ(get(tcp::TCP_FILLCW_RATE_CAP), 6'250'000u);
    EXPECT_EQ(get(tcp::TCP_RACK_PACE_MAX_SEG), 40u);
    EXPECT_EQ(set(tcp::TCP_RACK_PACE_MAX_SEG, 64), EINVAL);
    EXPECT_EQ(set(tcp::TCP_RACK_PACE_MAX_SEG, 20), 0);
    EXPECT_EQ(set(tcp::TCP_RACK_PACE_MAX_SEG, 21), 0);
    EXPECT_EQ(get(tcp::TCP_RACK_PACE_MAX_SEG), 21u);
    EXPECT_EQ(set(tcp::TCP_RACK_PACE_RATE_CA, uint64_t{999}), EINVAL);
    EXPECT_EQ(set(tcp::TCP_RACK_PACE_RATE_CA, uint64_t{1'500'000}), 0);
    EXPECT_EQ(get(tcp::TCP_RACK_PACE_RATE_CA), 1'500'000u);
    EXPECT_EQ(set(tcp::TCP_RACK_PROFILE, 1), EBUSY);
    EXPECT_EQ(set(tcp::TCP_RACK_PROFILE, 2), EINVAL);
    EXPECT_EQ(get(tcp::TCP_RACK_PROFILE), 0u);
    EXPECT_EQ(set(1150, 0), ENOPROTOOPT);  // TCP_HYBRID_PACING
  }
}

TEST_F(InterfaceTest, paces_at_all_of_an_eight_byte_rate) {
  const int fd = establish();
  const auto set = [&](auto rate) {
    const int done =
        ifc.setsockopt(ifc.userdata, fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
    return done == 0 ? 0 : errno;
  };
  const auto get = [&] {
    uint64_t rate = 0;
    socklen_t length = sizeof rate;
    EXPECT_EQ(ifc.getsockopt(ifc.userdata, fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &length), 0);
    return rate;
  };
  constexpr uint64_t kBeyondInt = (uint64_t{1} << 32) + 125'000;
  EXPECT_EQ(set(kBeyondInt), 0);
  EXPECT_EQ(get(), kBeyondInt);
  EXPECT_EQ(set(uint64_t{1} << 32), 0);
  EXPECT_EQ(get(), uint64_t{1} << 32);
  EXPECT_EQ(set(uint64_t{1}), EINVAL);
  EXPECT_EQ(set(uint32_t{1}), EINVAL);
  EXPECT_EQ(set(uint64_t{1} << 62), EINVAL);
  EXPECT_EQ(get(), uint64_t{1} << 32);
  EXPECT_EQ(set(uint32_t{UINT32_MAX}), 0);
  EXPECT_EQ(get(), UINT64_MAX);
  EXPECT_EQ(set(uint32_t{3'000'000'000}), 0);
  EXPECT_EQ(get(), 3'000'000'000u);
  EXPECT_EQ(set(UINT64_MAX), 0);
  EXPECT_EQ(get(), UINT64_MAX);
}

TEST_F(InterfaceTest, tells_of_data_and_of_acknowledgments_apart) {
  const int fd = establish();
  const auto info = [&] {
    tcp_info t{};
    socklen_t length = sizeof t;
    EXPECT_EQ(ifc.getsockopt(ifc.userdata, fd, IPPROTO_TCP, TCP_INFO, &t, &length), 0);
    return t;
  };
  EXPECT_EQ(info().tcpi_ato, 40'000u);
  inject(net::kTcpAck, 1, iss + 1, 30);
  ifc.usleep(ifc.userdata, 100'000);
  receive();  // The delayed acknowledgment.
  EXPECT_EQ(ifc.write(ifc.userdata, fd, "0123456789", 10), 10);
  receive();
  ifc.usleep(ifc.userdata, 20'000);
  inject(net::kTcpAck, 31, iss + 11);
  ifc.usleep(ifc.userdata, 5'000);
  const tcp_info t = info();
  EXPECT_EQ(t.tcpi_data_segs_in, 1u);
  EXPECT_EQ(t.tcpi_data_segs_out, 1u);
  EXPECT_EQ(t.tcpi_last_ack_recv, 5u);
  EXPECT_EQ(t.tcpi_last_data_recv, 125u);
  EXPECT_EQ(t.tcpi_busy_time / 1000, 20u);
  EXPECT_NEAR(static_cast<double>(t.tcpi_delivery_rate), 500, 1);
  EXPECT_GE(t.tcpi_rcv_ssthresh, 65'000u);
}

TEST_F(InterfaceTest, bounds_a_backlog_by_soacceptqueue) {
  const char* name = std::getenv(kControlVariable);
  ASSERT_NE(name, nullptr);
  const auto ask = [&](const std::string& question) { return MUST(host::ask(name, question)); };
  EXPECT_EQ(ask("sysctl\nset\nkern.ipc.soacceptqueue=2"), "ok\n128");
  EXPECT_EQ(ask("sysctl\nset\nnet.inet.tcp.syncookies=0"), "ok\n1");
  const int fd = ifc.socket(ifc.userdata, AF_INET, SOCK_STREAM, IPPROTO_TCP);
  const sockaddr_in us = address("192.168.0.1", 8080);
  ifc.bind(ifc.userdata, fd, reinterpret_cast<const sockaddr*>(&us), sizeof us);
  EXPECT_EQ(ifc.listen(ifc.userdata, fd, 100), 0);
  for (uint16_t port = 4000; port < 4040; ++port) inject(net::kTcpSyn, 0, 0, 0, 8080, port);
  // Half as many again, and 30 for handshakes.
  EXPECT_NE(ask("sysctl\nlist\nnet.inet.tcp.stats.listen_overflows").find("overflows\t7\t"),
            std::string::npos);
}

TEST_F(InterfaceTest, counts_datagrams_that_a_full_socket_cannot_take) {
  const int fd = ifc.socket(ifc.userdata, AF_INET, SOCK_DGRAM, IPPROTO_UDP);
  const sockaddr_in us = address("192.168.0.1", 5000);
  ASSERT_EQ(ifc.bind(ifc.userdata, fd, reinterpret_cast<const sockaddr*>(&us), sizeof us), 0);
  // IPv4 and UDP without a checksum, from 192.0.2.1 port 4000: nothing in it.
  std::vector<uint8_t> datagram = {0x45, 0, 0,    28,   0, 0, 0x40, 0,    64,   17,   0, 0, 192, 0,
                                   2,    1, 0xc0, 0xa8, 0, 1, 0x0f, 0xa0, 0x13, 0x88, 0, 8, 0,   0};
  uint32_t sum = 0;
  for (size_t i = 0; i < 20; i += 2)
    sum += static_cast<uint32_t>(datagram[i] << 8 | datagram[i + 1]);
  sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
  datagram[10] = static_cast<uint8_t>(sum >> 8);
  datagram[11] = static_cast<uint8_t>(sum & 0xff);
  for (size_t i = 0; i < 256 + 3; ++i) {
    ASSERT_EQ(ifc.netdev_send(ifc.userdata, datagram.data(), datagram.size()), 0);
  }
  const auto shown = MUST(host::ask(std::getenv(kControlVariable), "sysctl\nlist\nnet.inet.udp"));
  EXPECT_NE(shown.find("net.inet.udp.fullsock\t3\t"), std::string::npos) << shown;
}

TEST_F(InterfaceTest, refuses_a_segment_size_below_minmss) {
  const int fd = ifc.socket(ifc.userdata, AF_INET, SOCK_STREAM, IPPROTO_TCP);
  int size = 175;
  EXPECT_EQ(ifc.setsockopt(ifc.userdata, fd, IPPROTO_TCP, TCP_MAXSEG, &size, sizeof size), -1);
  EXPECT_EQ(errno, EINVAL);
  size = 176;
  EXPECT_EQ(ifc.setsockopt(ifc.userdata, fd, IPPROTO_TCP, TCP_MAXSEG, &size, sizeof size), 0);
}

TEST(Flags, take_what_is_known_and_name_what_is_not) {
  const auto flags = parse_flags("mtu=9000,patience=5,net.inet.tcp.ecn.enable=1");
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->mtu, 9000u);
  EXPECT_EQ(flags->patience, Duration(5s));
  EXPECT_EQ(flags->sysctls, std::vector<std::string>{"net.inet.tcp.ecn.enable=1"});
  EXPECT_FALSE(parse_flags("mtu=67"));
  EXPECT_FALSE(parse_flags("speed=1"));
}

TEST_F(InterfaceTest, answers_commands_at_its_control) {
  const char* name = std::getenv(kControlVariable);
  ASSERT_NE(name, nullptr);
  const auto ask = [&](const std::string& question) { return MUST(host::ask(name, question)); };
  EXPECT_EQ(ask("sysctl\nset\nnet.inet.tcp.insecure_rst=1"), "ok\n0");
  EXPECT_EQ(ask("sysctl\nset\nnet.inet.tcp.insecure_rst=2").substr(0, 3), "no\n");
  EXPECT_EQ(ask("nonsense").substr(0, 3), "no\n");
  establish();
  EXPECT_NE(ask("sockets").find("192.168.0.1:8080\t192.0.2.1:4000\tESTABLISHED"),
            std::string::npos);
  EXPECT_EQ(ask("drop\nESTABLISHD").substr(0, 3), "no\n");
  EXPECT_EQ(ask("drop\nESTABLISHED"), "ok\n1");
}

}  // namespace
}  // namespace wh::packetdrill
