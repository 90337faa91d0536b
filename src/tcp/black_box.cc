#include "tcp/black_box.h"

#include <algorithm>

#include "tcp/stack.h"

namespace wh::tcp {
namespace {

// A number relative to the connection's first: the SYN is 0, the first byte 1. Wraps as TCP's do.
uint32_t relative(SeqNum at, SeqNum first) {
  return at.value() - first.value();
}

}  // namespace

void BlackBox::begin(const Connection& c, std::string_view event) {
  line_.clear();
  fmt::format_to(std::back_inserter(line_), "{{\"t\":{},\"ev\":\"{}\"", since_origin(c.now()),
                 event);
  if (number_ != 0) put("conn", number_);
  held_for_ = {};
}

void BlackBox::end(const Connection& c) {
  put_text("state", to_string(c.state_));
  put_text("recovery", to_string(c.recovery_));
  put("una", relative(c.snd_una_, c.iss_));
  put("max", relative(c.snd_max_, c.iss_));
  put("cwnd", c.window_.cwnd.count());
  if (c.window_.ssthresh != Bytes::max()) put("ssthresh", c.window_.ssthresh.count());
  put("pipe", c.pipe());
  put("wnd", c.snd_wnd_);
  // A SYN is no data, also where the handshake is over and it is yet to be acknowledged.
  put("unsent", c.send_.size() - std::min<size_t>(c.send_.size(), c.sent_data()));
  fmt::format_to(std::back_inserter(line_), "}}\n");
  sink_({line_.data(), line_.size()});
}

// Names of ours: nothing in them needs escaping.
void BlackBox::put_text(std::string_view key, std::string_view value) {
  fmt::format_to(std::back_inserter(line_), ",\"{}\":\"{}\"", key, value);
}

void BlackBox::put_flags(TcpFlags flags) {
  constexpr std::pair<TcpFlags, char> kLetters[] = {
      {net::kTcpSyn, 'S'}, {net::kTcpFin, 'F'}, {net::kTcpRst, 'R'}, {net::kTcpPsh, 'P'},
      {net::kTcpAck, '.'}, {net::kTcpEce, 'E'}, {net::kTcpCwr, 'W'}};
  std::string text;
  for (const auto& [flag, letter] : kLetters) {
    if (flags.has(flag)) text += letter;
  }
  put_text("flags", text);
}

void BlackBox::opened(const Connection& c) {
  begin(c, "open");
  put_text("local", to_string(c.local_));
  put_text("remote", to_string(c.remote_));
  put("mss", c.mss_);
  end(c);
}

void BlackBox::entered(const Connection& c, State from) {
  begin(c, "state");
  put_text("from", to_string(from));
  if (c.state_ == State::Established) {
    put_text("cc", c.control_->name());
    put("mss", c.mss_);
    put("sack", c.has_sack_);
    put("timestamps", c.has_timestamps_);
    put("ecn", c.has_ecn_);
    put("snd_scale", c.snd_scale_);
    put("rcv_scale", c.rcv_scale_);
  }
  if (c.end_ != End::None) put_text("end", to_string(c.end_));
  end(c);
}

void BlackBox::received(const Connection& c, const Segment& s) {
  begin(c, "in");
  put_flags(s.flags);
  put("seq", s.has(net::kTcpSyn) ? 0 : relative(s.seq, c.irs_));
  put("len", s.payload);
  if (s.has(net::kTcpAck)) put("ack", relative(s.ack, c.iss_));
  put("win", s.window);
  if (s.options.sack_count > 0) {
    std::string blocks;
    for (const net::SackBlock& b : s.options.sack_blocks()) {
      blocks += fmt::format("{}[{},{}]", blocks.empty() ? "" : ",", relative(b.begin, c.iss_),
                            relative(b.end, c.iss_));
    }
    put("sacks", "[" + blocks + "]");
  }
  end(c);
}

void BlackBox::sent_new(const Connection& c, SeqNum seq, uint32_t length, uint32_t segments,
                        TcpFlags flags) {
  begin(c, "out");
  put_text("why", c.probe_due_ ? "tlp_new" : length == 0 ? "fin" : "data");
  put_text("path", c.sending_fast_ ? "fast" : "full");
  put_flags(flags);
  put("seq", relative(seq, c.iss_));
  put("len", length);
  if (segments > 1) put("segs", segments);
  end(c);
}

void BlackBox::sent_again(const Connection& c, const SendEntry& e, const Again& what) {
  begin(c, "out");
  put_text("why", what.is_probe                                    ? "tlp"
                  : (what.entry_flags & SendEntry::kTimedOut) != 0 ? "rto"
                  : c.has_sack_                                    ? "rack"
                                                                   : "dupacks");
  put_text("path", what.is_fast ? "fast" : "full");
  put_flags(what.flags);
  put("seq", relative(e.start, c.iss_));
  put("len", what.length);
  if (what.segments > 1) put("segs", what.segments);
  put("times", e.transmissions);
  end(c);
}

void BlackBox::sent_control(const Connection& c, SeqNum seq, TcpFlags flags) {
  begin(c, "out");
  const bool is_probe = seq < c.snd_max_ && flags.has(net::kTcpAck) && !flags.has(net::kTcpSyn);
  put_text("why", flags.has(net::kTcpSyn)   ? "syn"
                  : flags.has(net::kTcpRst) ? "rst"
                  : is_probe                ? "probe"
                                            : "ack");
  put_flags(flags);
  put("seq", relative(seq, c.iss_));
  put("len", 0);
  if (flags.has(net::kTcpAck)) put("ack", relative(c.rcv_nxt_, c.irs_));
  put("rcv_wnd", (c.rcv_adv_ - c.rcv_nxt_).count());
  end(c);
}

void BlackBox::put_hold(const Connection& c, std::string_view why) {
  if (why == held_for_) return;
  begin(c, "hold");
  put_text("why", why);
  if (why == "pacing") put("until", since_origin(c.pacer_.due()));
  end(c);
  held_for_ = why;
}

void BlackBox::held_by_pacing(const Connection& c) {
  put_hold(c, "pacing");
}

void BlackBox::held(const Connection& c, bool is_burst_over, bool is_note_over) {
  put_hold(c, reason_to_hold(c, is_burst_over, is_note_over));
}

// The first of the full path's questions whose answer is no.
std::string_view BlackBox::reason_to_hold(const Connection& c, bool is_burst_over,
                                          bool is_note_over) {
  const bool fin_is_due = c.shut_down_ && !c.fin_sent_;
  const bool has_lost = c.map_.lost() > 0;
  if (c.is_handshaking()) return "handshake";
  if (!has_lost && c.unsent() == 0 && !fin_is_due) return "nothing";
  if (is_burst_over) return "burst";
  if (int64_t{c.pipe()} >= c.window_.cwnd.count()) return "cwnd";
  const int64_t room = c.send_cwnd() - int64_t{c.pipe()};
  if (room <= 0) return "limit";
  if (has_lost) return "no_memory";
  const uint32_t sendable = c.sendable_now();
  if (sendable == 0) return "rwnd";
  if (is_note_over) return "note";
  if (c.waits_for_train()) return "train";
  if (sendable == c.unsent()) return room < sendable ? "cwnd" : c.cork_ ? "cork" : "nagle";
  return room < sendable ? "cwnd" : "rwnd";
}

void BlackBox::acknowledged(const Connection& c, const Acked& what) {
  begin(c, "ack");
  put("acked", what.acknowledged);
  put("delivered", what.delivered);
  if (what.rtt > Duration::zero()) put("rtt", what.rtt.count());
  put("srtt", c.rtt_.srtt().count());
  put("rto", c.rto().count());
  if (what.is_dupack) put("dup", true);
  if (what.has_dsack) put("dsack", true);
  put("sacked", c.map_.sacked());
  put("lost", c.map_.lost());
  end(c);
}

void BlackBox::lost(const Connection& c, uint32_t bytes, LossBy by) {
  constexpr std::string_view kNames[] = {"rack", "dupacks", "timeout", "path_mtu"};
  begin(c, "lost");
  put("bytes", bytes);
  put_text("by", kNames[static_cast<size_t>(by)]);
  end(c);
}

void BlackBox::recovery(const Connection& c, std::string_view phase) {
  begin(c, "recovery");
  put_text("phase", phase);
  put("until", relative(c.recover_, c.iss_));
  end(c);
}

void BlackBox::paced(const Connection& c, int64_t wire_bytes) {
  begin(c, "pace");
  put("rate", c.pacer_.rate().bps());
  put("wire", wire_bytes);
  put("until", since_origin(c.pacer_.due()));
  put("late", c.pacer_.account().agg_delayed().count());
  put("early", c.pacer_.account().agg_early().count());
  end(c);
}

void BlackBox::cut(const Connection& c, Bytes from, std::string_view why) {
  begin(c, "cut");
  put("from", from.count());
  put_text("why", why);
  end(c);
}

void BlackBox::rate_set(const Connection& c) {
  begin(c, "rate");
  if (c.pacer_.is_on()) {
    put("rate", c.pacer_.rate().bps());
    put("burst", c.pacer_.burst(c.window_.mss).count());
    put_text("by", pacing::to_string(c.pace_by_));
  } else {
    put("rate", "null");
  }
  end(c);
}

void BlackBox::timers(const Connection& c) {
  const Timers now{Connection::timer_name(c.recovery_timer_), c.recovery_due_, c.delack_due_,
                   c.idle_due_};
  if (now == known_) return;
  known_ = now;
  begin(c, "timers");
  const auto put_due = [this](std::string_view name, Instant due) {
    if (due != kNever) put(name, since_origin(due));
  };
  if (!now.recovery.empty()) put_due(now.recovery, now.recovery_due);
  put_due("delack", now.delack_due);
  put_due("idle", now.idle_due);
  end(c);
}

void BlackBox::fired(const Connection& c, std::string_view timer) {
  begin(c, "fire");
  put_text("timer", timer);
  end(c);
}

}  // namespace wh::tcp
