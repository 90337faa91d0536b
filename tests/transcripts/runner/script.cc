#include "script.h"

#include <charconv>
#include <cmath>

namespace wh::transcript {
namespace {

struct FlagName {
  char letter;
  net::TcpFlags flag;
};
constexpr FlagName kFlags[] = {{'S', net::kTcpSyn}, {'F', net::kTcpFin}, {'R', net::kTcpRst},
                               {'P', net::kTcpPsh}, {'U', net::kTcpUrg}, {'E', net::kTcpEce},
                               {'W', net::kTcpCwr}, {'.', net::kTcpAck}};

// Words between blanks; <...> is one.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return words;
    text.remove_prefix(first);
    size_t end = text[0] == '<' ? text.find('>') : text.find_first_of(" \t");
    if (end != std::string_view::npos && text[0] == '<') ++end;
    end = std::min(end, text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

template <class N>
Result<N> number(std::string_view text, std::string_view what) {
  N n{};
  const auto end = std::from_chars(text.data(), text.data() + text.size(), n);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size())
    return fail("{}: '{}' is not a number", what, text);
  return n;
}

Result<net::TcpFlags> flags_of(std::string_view text) {
  net::TcpFlags flags;
  if (text == "-") return flags;
  for (const char c : text) {
    bool found = false;
    for (const FlagName& f : kFlags) {
      if (f.letter == c) flags |= f.flag, found = true;
    }
    if (!found) return fail("flags '{}': known are S F R P U E W . and - for none", text);
  }
  return flags;
}

Result<std::pair<uint32_t, uint32_t>> range(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return fail("'{}' is not FROM:TO", text);
  const auto from = TRY(number<uint32_t>(text.substr(0, colon), "from"));
  return std::pair(from, TRY(number<uint32_t>(text.substr(colon + 1), "to")));
}

Result<void> take_timestamps(Options& o, const std::vector<std::string>& w) {
  if (w.size() != 5 || w[1] != "val" || w[3] != "ecr")
    return fail("TS is 'TS val N ecr N', or 'ecr last', 'ecr last-N'");
  o.has_timestamps = true;
  if (w[2] != "*") o.value = TRY(number<uint32_t>(w[2], "TS val"));
  std::string_view echo = w[4];
  o.echo_is_last = echo.starts_with("last");
  if (o.echo_is_last) echo.remove_prefix(echo.starts_with("last-") ? 5 : 4);
  if (!echo.empty() && echo != "*") o.echo = TRY(number<uint32_t>(echo, "TS ecr"));
  return {};
}

Result<Options> options_of(std::string_view text) {
  Options o;
  text.remove_prefix(1);
  text.remove_suffix(1);
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const auto w = words_of(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (w.empty() || w[0] == "nop" || w[0] == "eol") continue;
    if (w[0] == "mss" && w.size() == 2) {
      o.mss = TRY(number<uint16_t>(w[1], "mss"));
    } else if (w[0] == "wscale" && w.size() == 2) {
      o.window_scale = TRY(number<uint8_t>(w[1], "wscale"));
    } else if (w[0] == "sackOK") {
      o.sack_permitted = true;
    } else if (w[0] == "TS") {
      TRY(take_timestamps(o, w));
    } else if (w[0] == "sack") {
      for (size_t i = 1; i < w.size(); ++i) o.sacks.push_back(TRY(range(w[i])));
    } else {
      return fail("option '{}': known are mss, wscale, sackOK, TS, sack, nop, eol", w[0]);
    }
  }
  return o;
}

// FLAGS SEQ:END(LENGTH) [ack N] [win N] [<OPTIONS>] [ce|ect0|ect1|not-ect]
Result<SegmentLine> segment_of(const std::vector<std::string>& w) {
  SegmentLine s;
  if (w.size() < 2) return fail("a segment is FLAGS SEQ:END(LENGTH) ...");
  s.flags = TRY(flags_of(w[0]));
  const size_t paren = w[1].find('(');
  if (paren == std::string::npos || w[1].back() != ')')
    return fail("'{}' is not SEQ:END(LENGTH)", w[1]);
  const auto [from, to] = TRY(range(std::string_view(w[1]).substr(0, paren)));
  s.seq = from;
  s.length = TRY(number<uint32_t>(std::string_view(w[1]).substr(paren + 1, w[1].size() - paren - 2),
                                  "length"));
  if (to - from != s.length) return fail("'{}': the length does not fit the range", w[1]);
  for (size_t i = 2; i < w.size(); ++i) {
    const bool has_value = i + 1 < w.size();
    if (w[i] == "ack" && has_value) {
      s.ack = TRY(number<uint32_t>(w[++i], "ack"));
    } else if (w[i] == "win" && has_value) {
      s.window = TRY(number<uint16_t>(w[++i], "win"));
    } else if (w[i] == "<...>") {
      continue;
    } else if (w[i][0] == '<') {
      s.options = TRY(options_of(w[i]));
    } else if (w[i] == "ce" || w[i] == "ect0" || w[i] == "ect1" || w[i] == "not-ect") {
      s.ecn = w[i] == "ce" ? 3 : w[i] == "ect0" ? 2 : w[i] == "ect1" ? 1 : 0;
    } else {
      return fail("'{}': known are ack, win, <options>, ce, ect0, ect1, not-ect", w[i]);
    }
  }
  return s;
}

Result<Icmp> icmp_of(const std::vector<std::string>& w) {
  Icmp icmp;
  if (w.size() < 2) return fail("an ICMP error is icmp KIND [mtu N] [seq N]");
  icmp.kind = w[1];
  for (size_t i = 2; i + 1 < w.size(); i += 2) {
    if (w[i] == "mtu") {
      icmp.mtu = TRY(number<uint32_t>(w[i + 1], "mtu"));
    } else if (w[i] == "seq") {
      icmp.seq = TRY(number<uint32_t>(w[i + 1], "seq"));
    } else {
      return fail("'{}': known are mtu and seq", w[i]);
    }
  }
  return icmp;
}

// Seconds, with a decimal fraction down to the nanosecond.
Result<Duration> time_of(std::string_view text) {
  const size_t dot = text.find('.');
  const auto whole = TRY(number<int64_t>(text.substr(0, dot), "time"));
  std::string part(dot == std::string_view::npos ? "" : text.substr(dot + 1));
  if (part.size() > 9) return fail("time '{}' is finer than a nanosecond", text);
  part.resize(9, '0');
  return std::chrono::seconds(whole) + std::chrono::nanoseconds(TRY(number<int64_t>(part, "time")));
}

Result<void> take_line(Script& script, Line line, std::vector<std::string> w) {
  if (w[0] == "clause") {
    script.clause = line.text.substr(line.text.find("clause") + 7);
    return {};
  }
  if (w[0] == "sysctl" && w.size() == 2) return script.sysctls.push_back(w[1]), Result<void>{};
  if (w[0] == "ipv6") return script.is_ipv6 = true, Result<void>{};
  if (w[0] == "mtu" && w.size() == 2) {
    script.mtu = TRY(number<uint32_t>(w[1], "mtu"));
    return {};
  }
  line.is_relative = w[0][0] == '+';
  line.time = TRY(time_of(std::string_view(w[0]).substr(line.is_relative ? 1 : 0)));
  w.erase(w.begin());
  if (w.empty()) return fail("a time, and nothing that happens then");
  if (w[0] == "<" && w.size() > 1 && w[1] == "icmp") {
    w.erase(w.begin());
    line.what = TRY(icmp_of(w));
  } else if (w[0] == "<" || w[0] == ">") {
    const bool is_in = w[0] == "<";
    w.erase(w.begin());
    const SegmentLine segment = TRY(segment_of(w));
    if (is_in) line.what = Incoming{segment};
    if (!is_in) line.what = Outgoing{segment};
  } else {
    line.what = Action{std::move(w)};
  }
  script.lines.push_back(std::move(line));
  return {};
}

// The direction mark stands alone, so that <options> can be told from it.
std::vector<std::string> split_line(std::string_view text) {
  std::vector<std::string> words;
  for (std::string_view mark : {" < ", " > "}) {
    const size_t at = text.find(mark);
    if (at == std::string_view::npos) continue;
    words = words_of(text.substr(0, at));
    if (words.size() > 1) continue;
    words.emplace_back(mark.substr(1, 1));
    for (std::string& word : words_of(text.substr(at + 3))) words.push_back(std::move(word));
    return words;
  }
  return words_of(text);
}

}  // namespace

std::string flags_text(net::TcpFlags flags) {
  std::string text;
  for (const FlagName& f : kFlags) {
    if (flags.has(f.flag)) text += f.letter;
  }
  return text.empty() ? "-" : text;
}

Result<Script> parse_script(std::string_view text) {
  Script script;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view raw = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    raw = raw.substr(0, raw.find('#'));
    const size_t first = raw.find_first_not_of(" \t");
    if (first == std::string_view::npos) continue;
    Line line;
    line.number = number;
    line.text = raw;
    auto words = split_line(raw.substr(first));
    if (auto taken = take_line(script, std::move(line), std::move(words)); !taken) {
      return tl::unexpected(std::move(taken.error()).within(fmt::format("line {}", number)));
    }
  }
  if (script.clause.empty()) return fail("no clause: which rule is this about?");
  return script;
}

}  // namespace wh::transcript
