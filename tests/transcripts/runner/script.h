// A transcript: a conversation between our TCP and a peer, line by line, with its times.
//
//   clause RFC 5961 section 3.2
//   sysctl net.inet.tcp.insecure_rst=0
//   0       listen
//   +0      < S 0:0(0) win 65535 <mss 1460,sackOK>
//   +0      > S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>
//   +0.1    < . 1:1(0) ack 1 win 65535
//   +0      accept
//   +0      expect state ESTABLISHED cwnd 14600
//
// The notation is that TCP people know from packetdrill: `<` is what the peer sends, `>` what must
// leave here, numbers relative to each side's first, windows as they stand in the header. A time is
// absolute (from the beginning) or, with +, counted from the line before. Everything behind # is a
// remark. Of a segment that must leave, what is not written is not compared.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/result.h"
#include "core/units.h"
#include "net/wire/tcp.h"

namespace wh::transcript {

struct Options {
  std::optional<uint16_t> mss;
  std::optional<uint8_t> window_scale;
  bool sack_permitted = false;
  // Of TS: nothing written for a star; `last` stands for what we sent last.
  bool has_timestamps = false;
  std::optional<uint32_t> value, echo;
  bool echo_is_last = false;
  std::vector<std::pair<uint32_t, uint32_t>> sacks;
};

struct SegmentLine {
  net::TcpFlags flags;
  uint32_t seq = 0, length = 0;
  std::optional<uint32_t> ack;
  std::optional<uint16_t> window;
  std::optional<Options> options;  // Nothing for <...>, or when none are written.
  std::optional<uint8_t> ecn;      // 0 not-ect, 1 ect1, 2 ect0, 3 ce.
};
struct Incoming {
  SegmentLine segment;
};
struct Outgoing {
  SegmentLine segment;
};
struct Icmp {
  std::string kind;
  uint32_t mtu = 0;
  uint32_t seq = 0;
};
struct Action {
  std::vector<std::string> words;  // The first says what.
};

struct Line {
  size_t number = 0;
  std::string text;
  bool is_relative = false;
  Duration time{0};
  std::variant<Incoming, Outgoing, Icmp, Action> what;
};

struct Script {
  std::string clause;  // Which rule it holds us to.
  std::vector<std::string> sysctls;
  bool is_ipv6 = false;
  uint32_t mtu = 1500;
  std::vector<Line> lines;
};

// Errors: the number of the line that makes no sense, and why.
Result<Script> parse_script(std::string_view text);

std::string flags_text(net::TcpFlags flags);  // "S.", "PF.", "-"

}  // namespace wh::transcript
