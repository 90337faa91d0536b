#include "gap_capture.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "host/system.h"

namespace wh::bench {
namespace {

using host::os_error;

Result<host::Fd> open_socket(const std::string& device) {
  host::Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return os_error("make a packet socket");
  // Length of the frame; over 1000: its first 64 bytes; else nothing.
  std::array<sock_filter, 4> code{{{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0},
                                   {BPF_JMP | BPF_JGT | BPF_K, 0, 1, 1000},
                                   {BPF_RET | BPF_K, 0, 0, 64},
                                   {BPF_RET | BPF_K, 0, 0, 0}}};
  const sock_fprog program{code.size(), code.data()};
  const int on = 1, room = 512 << 20;
  if (::setsockopt(fd.raw(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
      ::setsockopt(fd.raw(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0) {
    return os_error("set up a packet socket");
  }
  if (::setsockopt(fd.raw(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0) {
    ::setsockopt(fd.raw(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);  // As much as is allowed.
  }
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
  if (::bind(fd.raw(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
    return os_error("capture on {}", device);
  }
  return fd;
}

}  // namespace

Result<GapCapture> GapCapture::open(const host::Netns& space, const std::string& device) {
  return GapCapture(TRY(space.open([&] { return open_socket(device); })));
}

std::vector<int64_t> GapCapture::arrivals() {
  std::vector<int64_t> times;
  std::array<uint8_t, 64> bytes;
  alignas(cmsghdr) std::array<char, 256> control;
  for (;;) {
    sockaddr_ll from{};
    iovec part{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(fd_.raw(), &message, 0) < 0) return times;
    if (from.sll_pkttype == PACKET_OUTGOING) continue;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec t;
      std::memcpy(&t, CMSG_DATA(c), sizeof t);
      times.push_back(t.tv_sec * 1'000'000'000 + t.tv_nsec);
    }
  }
}

GapStatistics statistics_of(const std::vector<int64_t>& arrivals, Duration ideal, Duration skip) {
  GapStatistics s;
  const auto first = std::find_if(arrivals.begin(), arrivals.end(),
                                  [&](int64_t t) { return t >= arrivals.front() + skip.count(); });
  const std::vector<int64_t> used(first, arrivals.end());
  if (used.size() < 3) return s;
  std::vector<double> off;
  for (size_t i = 1; i < used.size(); ++i) {
    off.push_back(std::abs(static_cast<double>(used[i] - used[i - 1] - ideal.count())) * 1e-3);
  }
  std::sort(off.begin(), off.end());
  const auto at = [&](double q) {
    return off[static_cast<size_t>(q * static_cast<double>(off.size() - 1))];
  };
  s.packets = used.size();
  s.median_us = at(0.5);
  s.p90_us = at(0.9);
  s.p99_us = at(0.99);
  const auto mean =
      static_cast<double>(used.back() - used.front()) / static_cast<double>(used.size() - 1);
  s.rate_error = static_cast<double>(ideal.count()) / mean - 1;
  return s;
}

}  // namespace wh::bench
