// Echo requests and who waits for their replies: what `ping` is made of.
//
//   Ping ping(vnet, {.destination = ip, .count = 5}, on_reply, on_done);
//   ping.start();
//
// A Ping sends a request each interval, matches replies by identifier and sequence number, and is
// done when the last reply came or `timeout` passed after the last request. Requests whose reply
// may still come: at most kWindow; an older one counts as lost.
#pragma once

#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "net/ip_service.h"

namespace wh::vnet {

struct Stack;
class Ping;
class Vnet;

// Who waits for which identifier.
class PingTable {
 public:
  struct Reply {
    uint16_t id = 0, sequence = 0;
    net::IpAddress from;
    uint32_t bytes = 0;  // ICMP header and data.
    uint8_t ttl = 0;     // Or hop limit.
    Instant arrival{};
  };

  // A free identifier, now taken by `ping`. Error: all are in use.
  Result<uint16_t> open(Ping& ping);
  void close(uint16_t id) { by_id_.erase(id); }
  // False when nobody waits for it.
  bool reply(const Reply& reply) const;
  bool error(const net::IpError& error) const;

 private:
  std::unordered_map<uint16_t, Ping*> by_id_;
  uint16_t next_ = 0;
};

struct PingStatistics {
  uint64_t sent = 0, received = 0, duplicates = 0, errors = 0;
  Duration min{}, max{}, total{};
  Duration average() const {
    return received == 0 ? Duration{} : total / static_cast<int64_t>(received);
  }
};

class Ping {
 public:
  static constexpr uint32_t kWindow = 1024;
  static constexpr uint32_t kMaxSize = 65535 - 20 - 8;
  struct Config {
    net::IpAddress destination;
    net::IpAddress source{};  // Unspecified: as the route says.
    uint32_t size = 56;       // Of the data after the ICMP header, at most kMaxSize.
    uint64_t count = 5;
    Duration interval = 1s;
    Duration timeout = 1s;  // After the last request.
    bool dont_fragment = false;
    uint8_t ttl = 0;         // 0: the host's default.
    uint16_t table = 0;      // As net/ip_service.h has it.
    uint16_t interface = 0;  // Whose link a link-local destination is on; 0: as the source says.
  };
  struct Answer {
    uint16_t sequence = 0;  // From 1.
    net::IpAddress from;
    uint32_t bytes = 0;
    uint8_t ttl = 0;
    Duration rtt{};
    bool duplicate = false;
  };
  struct Actions {
    std::function<void(const Answer&)> on_answer = {};
    std::function<void(const net::IpError&)> on_error = {};
    std::function<void(const PingStatistics&)> on_done = {};
  };

  Ping(Vnet& vnet, Config config, Actions actions);
  ~Ping();
  Ping(const Ping&) = delete;
  Ping& operator=(const Ping&) = delete;

  // Sends the first request now. Errors: no route, no identifier left, size out of range.
  Result<void> start();
  void stop();
  bool is_done() const { return done_; }
  const PingStatistics& statistics() const { return statistics_; }

 private:
  friend class PingTable;
  struct Sent {
    uint16_t sequence = 0;
    bool answered = false;
    Instant when{};
  };

  Result<void> send();
  void tick();
  void finish();
  void answered(const PingTable::Reply& reply);
  void failed(const net::IpError& error);

  Stack& stack_;
  Config config_;
  Actions actions_;
  Timer timer_;
  std::optional<uint16_t> id_;
  std::vector<Sent> sent_;
  PingStatistics statistics_;
  bool done_ = false;
};

}  // namespace wh::vnet
