#include "packetdrill/tcp_options.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "packetdrill/tcp_info.h"
#include "tcp/socket_option.h"

namespace wh::packetdrill {
namespace {

// Options by FreeBSD's numbers (its netinet/tcp.h) that Linux's do not name.
enum FreeBsdOption : int {
  kCcInfo = 26,  // Linux's TCP_CC_INFO.
  kCongestion = 64,
  kDelAck = 72,
  kKeepInit = 128,
  kKeepIdle = 256,
  kKeepIntvl = 512,
  kKeepCnt = 1024,
  kFastOpen = 1025,
  kMaxUnackTime = 68,
  kFunctionBlock = 8192,
};

// struct tcp_function_set: which stack a connection has.
struct FunctionSet {
  char name[32] = "rack";
  uint32_t connections = 0;
};

constexpr int kMostSeconds = INT32_MAX / 1000;

Outcome put(std::span<uint8_t> value, const void* from, size_t size) {
  const size_t n = std::min(size, value.size());
  std::memcpy(value.data(), from, n);
  return static_cast<int64_t>(n);
}
Outcome put_int(std::span<uint8_t> value, int64_t n) {
  const int as_int = static_cast<int>(n);
  return put(value, &as_int, sizeof as_int);
}
Outcome put_time(std::span<uint8_t> value, Duration d) {
  const timeval t{d / 1s, d % 1s / 1us};
  return put(value, &t, sizeof t);
}
Outcome read_time(std::span<const uint8_t> value, Duration& out) {
  timeval t;
  if (value.size() < sizeof t) return error(EINVAL);
  std::memcpy(&t, value.data(), sizeof t);
  if (t.tv_sec < 0 || t.tv_usec < 0 || t.tv_usec >= 1'000'000) return error(EDOM);
  constexpr int64_t kMost = 1'000'000'000;
  out = std::chrono::seconds(std::min<int64_t>(t.tv_sec, kMost)) +
        std::chrono::microseconds(t.tv_usec);
  return 0;
}
tl::expected<int, int> read_int(std::span<const uint8_t> value) {
  int n = 0;
  if (value.size() < sizeof n) return error(EINVAL);
  std::memcpy(&n, value.data(), sizeof n);
  return n;
}

}  // namespace

Outcome TcpOptions::get(int level, int name, std::span<uint8_t> value) {
  switch (level) {
    case SOL_SOCKET: return get_socket(name, value);
    case IPPROTO_TCP: return get_tcp(name, value);
    case IPPROTO_IP:
    case IPPROTO_IPV6: return get_ip(level, name, value);
    default: return error(ENOPROTOOPT);
  }
}

Outcome TcpOptions::set(int level, int name, std::span<const uint8_t> value) {
  switch (level) {
    case SOL_SOCKET: return set_socket(name, value);
    case IPPROTO_TCP: return set_tcp(name, value);
    case IPPROTO_IP:
    case IPPROTO_IPV6: {
      const auto n = read_int(value);
      return n ? set_ip(level, name, *n) : error(n.error());
    }
    default: return error(ENOPROTOOPT);
  }
}

Outcome TcpOptions::get_socket(int name, std::span<uint8_t> value) {
  const TcpSettings& s = socket_.settings_;
  const tcp::Connection* c = socket_.connection_;
  const tcp::Tunables& t = socket_.world_.tcp().tunables();
  switch (name) {
    case SO_ERROR: return put_int(value, socket_.take_error());
    case SO_TYPE: return put_int(value, SOCK_STREAM);
    case SO_ACCEPTCONN: return put_int(value, socket_.listener_ != nullptr);
    case SO_REUSEADDR: return put_int(value, s.reuse_address);
    case SO_REUSEPORT: return put_int(value, s.reuse_port);
    case SO_KEEPALIVE:
      return put_int(value, s.keepalive >= 0 ? s.keepalive : static_cast<int>(t.always_keepalive));
    case SO_SNDBUF:
      return put_int(value, c != nullptr        ? c->send_buffer().count()
                            : s.send_buffer > 0 ? s.send_buffer
                                                : t.sendspace);
    case SO_RCVBUF:
      return put_int(value, c != nullptr           ? c->receive_buffer().count()
                            : s.receive_buffer > 0 ? s.receive_buffer
                                                   : t.recvspace);
    case SO_SNDLOWAT: return put_int(value, s.send_low_water);
    case SO_RCVLOWAT: return put_int(value, s.receive_low_water);
    case SO_SNDTIMEO: return put_time(value, s.send_timeout);
    case SO_RCVTIMEO: return put_time(value, s.receive_timeout);
    case SO_DOMAIN: return put_int(value, socket_.domain_);
    case SO_PROTOCOL: return put_int(value, IPPROTO_TCP);
    case SO_MAX_PACING_RATE: return get_pace(value);
    case SO_MEMINFO: {  // SK_MEMINFO_*: rmem_alloc, rcvbuf, wmem_alloc, sndbuf, fwd, wmem_queued
                        // ...
      std::array<uint32_t, 9> memory{};
      if (c != nullptr) {
        memory[0] = static_cast<uint32_t>(c->readable());
        memory[1] = static_cast<uint32_t>(c->receive_buffer().count());
        memory[3] = static_cast<uint32_t>(c->send_buffer().count());
        memory[5] = static_cast<uint32_t>(c->unacknowledged());
      }
      return put(value, memory.data(), sizeof memory);
    }
    case SO_LINGER: {
      const linger l{s.linger, s.linger_s};
      return put(value, &l, sizeof l);
    }
    default: return error(ENOPROTOOPT);
  }
}

// Bytes a second; all ones when not paced. Of 4 bytes or 8, as asked.
Outcome TcpOptions::get_pace(std::span<uint8_t> value) {
  const tcp::Connection* c = socket_.connection_;
  const bool is_paced = c != nullptr ? c->pacer().is_on() : socket_.settings_.pace_rate != 0;
  const uint64_t rate = !is_paced      ? UINT64_MAX
                        : c != nullptr ? c->pacer().rate().bps() / 8
                                       : socket_.settings_.pace_rate;
  if (value.size() >= sizeof rate) return put(value, &rate, sizeof rate);
  return put_int(value, static_cast<int64_t>(std::min<uint64_t>(rate, UINT32_MAX)));
}

Outcome TcpOptions::get_tcp(int name, std::span<uint8_t> value) {
  const TcpSettings& s = socket_.settings_;
  const tcp::Connection* c = socket_.connection_;
  const tcp::Tunables& t = socket_.world_.tcp().tunables();
  if (tcp::is_pacing_option(name)) return get_pacing(name, value);
  const auto seconds = [&](int own, int64_t usual_ms) {
    return put_int(value, own > 0 ? own : usual_ms / 1000);
  };
  switch (name) {
    case TCP_NODELAY: return put_int(value, s.nodelay);
    case TCP_CORK: return put_int(value, s.cork);
    case TCP_MAXSEG: {
      const bool is_v4 = socket_.domain_ == AF_INET;
      const int64_t usual = is_v4 ? t.mssdflt : t.v6mssdflt;
      return put_int(value, c != nullptr && c->state() != tcp::State::SynSent ? c->max_segment()
                            : s.max_segment > 0                               ? s.max_segment
                                                                              : usual);
    }
    case TCP_KEEPIDLE:
    case kKeepIdle: return seconds(s.keep_idle, t.keepidle_ms);
    case TCP_KEEPINTVL:
    case kKeepIntvl: return seconds(s.keep_interval, t.keepintvl_ms);
    case TCP_KEEPCNT:
    case kKeepCnt: return put_int(value, s.keep_count > 0 ? s.keep_count : t.keepcnt);
    case kKeepInit: return seconds(s.keep_init, t.keepinit_ms);
    case TCP_USER_TIMEOUT: return put_int(value, s.user_timeout_ms);
    case kMaxUnackTime: return put_int(value, s.user_timeout_ms / 1000);
    case kFunctionBlock: {
      FunctionSet set;
      set.connections = static_cast<uint32_t>(socket_.world_.tcp().connections());
      return put(value, &set, sizeof set);
    }
    case TCP_QUICKACK: return put_int(value, s.delayed_ack == 0);
    case kDelAck: return put_int(value, s.delayed_ack >= 0 ? s.delayed_ack : t.delayed_ack);
    case TCP_FASTOPEN:
    case kFastOpen: return put_int(value, 0);
    case TCP_CONGESTION:
    case kCongestion: {
      const std::string used = c != nullptr           ? std::string(c->info().congestion_control)
                               : s.congestion.empty() ? t.cc_algorithm
                                                      : s.congestion;
      std::fill(value.begin(), value.end(), uint8_t{0});
      return put(value, used.c_str(), used.size() + 1);
    }
    case kCcInfo: {  // What Vegas, DCTCP and BBR would say: none of them runs.
      const std::array<uint8_t, 20> none{};
      return put(value, none.data(), none.size());
    }
    case TCP_INFO: {
      tcp_info info{};
      if (c != nullptr) {
        info = linux_info(*c, socket_.world_.loop().now());
      } else {
        info.tcpi_state =
            socket_.listener_ != nullptr ? kLinuxListen : linux_state(tcp::State::Closed);
      }
      // A caller built for a newer kernel asks for more: the rest is zero, as an older kernel has
      // it.
      constexpr size_t kMost = 512;
      const auto all = value.first(std::min(value.size(), kMost));
      std::fill(all.begin(), all.end(), uint8_t{0});
      put(all, &info, sizeof info);
      return static_cast<int64_t>(all.size());
    }
    default: return error(ENOPROTOOPT);
  }
}

Outcome TcpOptions::get_ip(int level, int name, std::span<uint8_t> value) {
  const TcpSettings& s = socket_.settings_;
  const bool is_v4 = level == IPPROTO_IP;
  if (is_v4 ? name == IP_TOS : name == IPV6_TCLASS) return put_int(value, s.tos);
  if (is_v4 ? name == IP_TTL : name == IPV6_UNICAST_HOPS)
    return put_int(value, s.ttl > 0 ? s.ttl : 64);
  if (is_v4 ? name == IP_MTU : name == IPV6_MTU) {
    if (socket_.connection_ == nullptr) return error(ENOTCONN);
    return put_int(value, socket_.connection_->info().path_mtu);
  }
  if (!is_v4 && name == IPV6_V6ONLY) return put_int(value, s.v6_only);
  return error(ENOPROTOOPT);
}

Outcome TcpOptions::set_buffer(bool is_send, int bytes) {
  if (bytes <= 0) return error(EINVAL);
  const int64_t most = socket_.world_.tcp().tunables().maxsockbuf;
  if (bytes > most) return error(ENOBUFS);  // FreeBSD's answer beyond kern.ipc.maxsockbuf.
  (is_send ? socket_.settings_.send_buffer : socket_.settings_.receive_buffer) = bytes;
  tcp::Connection* c = socket_.connection_;
  if (c == nullptr) return 0;
  is_send ? c->set_send_buffer(Bytes(bytes)) : c->set_receive_buffer(Bytes(bytes));
  return 0;
}

Outcome TcpOptions::set_socket(int name, std::span<const uint8_t> value) {
  TcpSettings& s = socket_.settings_;
  tcp::Connection* c = socket_.connection_;
  if (name == SO_SNDTIMEO) return read_time(value, s.send_timeout);
  if (name == SO_RCVTIMEO) return read_time(value, s.receive_timeout);
  if (name == SO_MAX_PACING_RATE) return set_pace(value);
  if (name == SO_LINGER) {
    linger l;
    if (value.size() < sizeof l) return error(EINVAL);
    std::memcpy(&l, value.data(), sizeof l);
    if (l.l_onoff != 0 && l.l_linger < 0) return error(EDOM);
    s.linger = l.l_onoff != 0;
    s.linger_s = l.l_linger;
    return 0;
  }
  const auto n = read_int(value);
  if (!n) return error(n.error());
  switch (name) {
    case SO_REUSEADDR: s.reuse_address = *n != 0; return 0;
    case SO_REUSEPORT: s.reuse_port = *n != 0; return 0;
    case SO_SNDBUF: return set_buffer(true, *n);
    case SO_RCVBUF: return set_buffer(false, *n);
    case SO_SNDLOWAT: s.send_low_water = std::max(*n, 1); return 0;
    case SO_RCVLOWAT: s.receive_low_water = std::max(*n, 1); return 0;
    case SO_KEEPALIVE:
      s.keepalive = *n != 0;
      if (c != nullptr) c->set_keepalive(*n != 0);
      return 0;
    // Nothing of a transport depends on these.
    case SO_BROADCAST:
    case SO_DONTROUTE:
    case SO_OOBINLINE:
    case SO_TIMESTAMP:
    case SO_PRIORITY: return 0;
    default: return error(ENOPROTOOPT);
  }
}

Outcome TcpOptions::set_congestion(std::span<const uint8_t> value) {
  std::string name(reinterpret_cast<const char*>(value.data()), value.size());
  name = name.substr(0, name.find('\0'));
  if (name == "reno") name = "newreno";  // Linux's word for it.
  if (!socket_.world_.tcp().make_congestion(name)) return error(ENOENT);
  socket_.settings_.congestion = name;
  if (socket_.connection_ != nullptr && !socket_.connection_->set_congestion(name))
    return error(ENOENT);
  return 0;
}

Outcome TcpOptions::set_keepalive(int name, int value) {
  if (value < 1) return error(EINVAL);
  TcpSettings& s = socket_.settings_;
  switch (name) {
    case TCP_KEEPIDLE:
    case kKeepIdle: s.keep_idle = value; break;
    case TCP_KEEPINTVL:
    case kKeepIntvl: s.keep_interval = value; break;
    case kKeepInit: s.keep_init = value; break;
    default: s.keep_count = value; break;
  }
  if (socket_.connection_ != nullptr) {
    socket_.connection_->set_keepalive_times(std::chrono::seconds(s.keep_idle),
                                             std::chrono::seconds(s.keep_interval), s.keep_count);
  }
  return 0;
}

Outcome TcpOptions::set_tcp(int name, std::span<const uint8_t> value) {
  if (name == TCP_CONGESTION || name == kCongestion) return set_congestion(value);
  if (name == kFunctionBlock) return set_stack(value);
  if (tcp::is_pacing_option(name)) return set_pacing(name, value);
  TcpSettings& s = socket_.settings_;
  tcp::Connection* c = socket_.connection_;
  const auto n = read_int(value);
  if (!n) return error(n.error());
  switch (name) {
    case TCP_NODELAY:
      s.nodelay = *n != 0;
      if (c != nullptr) c->set_nodelay(*n != 0);
      return 0;
    case TCP_CORK:
      s.cork = *n != 0;
      if (c != nullptr) c->set_cork(*n != 0);
      return 0;
    case TCP_MAXSEG:
      // FreeBSD's least: with headers, net.inet.tcp.minmss.
      if (*n > 65535 || *n + 40 < socket_.world_.tcp().tunables().minmss) return error(EINVAL);
      if (c != nullptr && static_cast<uint32_t>(*n) > c->max_segment()) return error(EINVAL);
      s.max_segment = *n;
      if (c != nullptr) c->set_max_segment(static_cast<uint32_t>(*n));
      return 0;
    case TCP_KEEPIDLE:
    case TCP_KEEPINTVL:
    case TCP_KEEPCNT:
    case kKeepIdle:
    case kKeepIntvl:
    case kKeepCnt:
    case kKeepInit: return set_keepalive(name, *n);
    case TCP_USER_TIMEOUT:
      if (*n < 0) return error(EINVAL);
      s.user_timeout_ms = *n;
      if (c != nullptr) c->set_user_timeout(std::chrono::milliseconds(*n));
      return 0;
    case TCP_QUICKACK:
    case kDelAck:
      s.delayed_ack = name == kDelAck ? *n != 0 : *n == 0;
      if (c != nullptr) c->set_delayed_ack(s.delayed_ack != 0);
      return 0;
    case kMaxUnackTime:
      if (*n < 0 || *n > kMostSeconds) return error(EINVAL);
      s.user_timeout_ms = *n * 1000;
      if (c != nullptr) c->set_user_timeout(std::chrono::seconds(*n));
      return 0;
    default: return error(ENOPROTOOPT);
  }
}

// TCP_FUNCTION_BLK: there is one stack, and it is RACK.
Outcome TcpOptions::set_stack(std::span<const uint8_t> value) {
  FunctionSet asked;
  if (value.size() < sizeof asked) return error(EINVAL);
  std::memcpy(&asked, value.data(), sizeof asked);
  return std::memcmp(asked.name, "rack", 5) == 0 ? Outcome(0) : error(ENOENT);
}

// Kept until there is a connection to take it over, as the others.
Outcome TcpOptions::set_pacing(int given, std::span<const uint8_t> value) {
  auto& kept = socket_.settings_.pacing;
  const int name = tcp::meant_option(given, value.size());
  const auto wanted = tcp::read_pacing_option(name, value);
  if (!wanted) return error(static_cast<int>(wanted.error().code));
  if (tcp::Connection* c = socket_.connection_; c != nullptr) {
    if (const auto set = c->set_option(name, value); !set)
      return error(static_cast<int>(set.error().code));
  } else if (tcp::is_chosen_pace(name, *wanted)) {
    const bool is_fixed = std::any_of(kept.begin(), kept.end(), [](const auto& option) {
      return tcp::is_fixed_pace(option.first);
    });
    if (is_fixed || socket_.settings_.pace_rate != 0) return error(EBUSY);
  }
  std::erase_if(kept, [name](const auto& option) { return option.first == name; });
  kept.emplace_back(name, std::vector<uint8_t>(value.begin(), value.end()));
  return 0;
}

Outcome TcpOptions::get_pacing(int name, std::span<uint8_t> value) {
  if (const tcp::Connection* c = socket_.connection_; c != nullptr) {
    return static_cast<int64_t>(MUST(c->get_option(name, value)));  // It is one of them.
  }
  for (const auto& [kept, bytes] : socket_.settings_.pacing) {
    if (kept == name) return put(value, bytes.data(), bytes.size());
  }
  const uint64_t usual = tcp::usual_option(name, socket_.world_.tcp().tunables());
  return static_cast<int64_t>(tcp::write_pacing_option(name, usual, value));
}

// SO_MAX_PACING_RATE: bytes a second, of 4 bytes or 8; 0 and all ones for no limit.
Outcome TcpOptions::set_pace(std::span<const uint8_t> value) {
  uint64_t rate = 0;
  uint32_t narrow = 0;
  if (value.size() >= sizeof rate) {
    std::memcpy(&rate, value.data(), sizeof rate);
  } else if (value.size() >= sizeof narrow) {
    std::memcpy(&narrow, value.data(), sizeof narrow);
    rate = narrow == UINT32_MAX ? UINT64_MAX : narrow;
  } else {
    return error(EINVAL);
  }
  if (rate == UINT64_MAX) rate = 0;
  const std::span bytes(reinterpret_cast<const uint8_t*>(&rate), sizeof rate);
  if (rate > 0 && !tcp::read_pacing_option(tcp::TCP_RACK_PACE_RATE_CA, bytes)) return error(EINVAL);
  socket_.settings_.pace_rate = rate;
  if (tcp::Connection* c = socket_.connection_; c != nullptr)
    c->set_pace_rate(rate == 0 ? Rate::infinite() : Rate::bytes_per_second(rate));
  return 0;
}

Outcome TcpOptions::set_ip(int level, int name, int value) {
  TcpSettings& s = socket_.settings_;
  tcp::Connection* c = socket_.connection_;
  const bool is_v4 = level == IPPROTO_IP;
  if (value < -1 || value > 255) return error(EINVAL);
  if (is_v4 ? name == IP_TOS : name == IPV6_TCLASS) {
    s.tos = std::max(value, 0);
    if (c != nullptr) c->set_traffic_class(static_cast<uint8_t>(s.tos));
    return 0;
  }
  if (is_v4 ? name == IP_TTL : name == IPV6_UNICAST_HOPS) {
    if (value == 0) return error(EINVAL);
    s.ttl = std::max(value, 0);
    if (c != nullptr) c->set_hop_limit(static_cast<uint8_t>(s.ttl > 0 ? s.ttl : 64));
    return 0;
  }
  if (!is_v4 && name == IPV6_V6ONLY) {
    if (socket_.domain_ != AF_INET6 || socket_.bound_ || c != nullptr) return error(EINVAL);
    s.v6_only = value != 0;
    return 0;
  }
  // Whether a path may be probed, and whether errors queue, changes nothing that a script can see.
  const bool is_harmless =
      is_v4 ? name == IP_MTU_DISCOVER || name == IP_RECVERR || name == IP_FREEBIND
            : name == IPV6_MTU_DISCOVER || name == IPV6_RECVERR;
  return is_harmless ? Outcome(0) : error(ENOPROTOOPT);
}

Outcome TcpSocket::get_option(int level, int name, std::span<uint8_t> value) {
  return TcpOptions(*this).get(level, name, value);
}
Outcome TcpSocket::set_option(int level, int name, std::span<const uint8_t> value) {
  return TcpOptions(*this).set(level, name, value);
}

}  // namespace wh::packetdrill
