// A connection's black box: its decisions as they are made, one JSON object a line.
//
// What it records: segments in and out and why each left, why output stopped where it did, what an
// acknowledgment did, losses, recovery, timers set and fired, pacing delays, changes of state.
// Every line also has the state that decisions are made from (cwnd, pipe, windows). The legend is
// docs/blackbox.md.
//
// A connection without one pays a test of a pointer at each of these places and nothing else. Lines
// go to a sink that is given; the box formats into one buffer of its own and keeps nothing. Times
// are nanoseconds since an origin that is given, so virtual time gives the same bytes for a seed.
//
// Ownership: belongs to its connection (Connection::set_black_box). It reads the connection and
// never changes it.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string_view>

#include "core/units.h"
#include "tcp/segment.h"
#include "tcp/types.h"

namespace wh::tcp {

struct SendEntry;

class BlackBox {
 public:
  // Takes a line with its newline. It is good only during the call.
  using Sink = std::function<void(std::string_view line)>;
  // `number` tells connections apart that share a sink, and is written to each line; 0: none.
  BlackBox(Sink sink, Instant origin, uint64_t number = 0)
      : sink_(std::move(sink)), origin_(origin), number_(number) {}

  enum class LossBy : uint8_t { Rack, Dupacks, Timeout, PathMtu };
  struct Acked {
    uint32_t acknowledged, delivered;
    Duration rtt;  // 0: no sample.
    bool is_dupack, has_dsack;
  };

  void opened(const Connection& c);
  void entered(const Connection& c, State from);
  void received(const Connection& c, const Segment& s);
  void sent_new(const Connection& c, SeqNum seq, uint32_t length, uint32_t segments,
                TcpFlags flags);
  struct Again {
    uint32_t length, segments;
    TcpFlags flags;
    uint16_t entry_flags;  // As they were before it was sent again.
    bool is_probe, is_fast;
  };
  void sent_again(const Connection& c, const SendEntry& e, const Again& what);
  void sent_control(const Connection& c, SeqNum seq, TcpFlags flags);
  void held_by_pacing(const Connection& c);
  // Output is over; what keeps more from leaving? `is_note_over`: only the fast path was asked, and
  // sent all that it had a note of.
  void held(const Connection& c, bool is_burst_over, bool is_note_over);
  void acknowledged(const Connection& c, const Acked& what);
  void lost(const Connection& c, uint32_t bytes, LossBy by);
  void recovery(const Connection& c, std::string_view phase);
  void paced(const Connection& c, int64_t wire_bytes);
  void rate_set(const Connection& c);
  // The congestion window became smaller, outside of an episode of recovery.
  void cut(const Connection& c, Bytes from, std::string_view why);
  void timers(const Connection& c);  // Writes only what has changed since.
  void fired(const Connection& c, std::string_view timer);

 private:
  void begin(const Connection& c, std::string_view event);
  void end(const Connection& c);
  template <class T>
  void put(std::string_view key, const T& value) {
    fmt::format_to(std::back_inserter(line_), ",\"{}\":{}", key, value);
  }
  void put_text(std::string_view key, std::string_view value);
  void put_flags(TcpFlags flags);
  void put_hold(const Connection& c, std::string_view why);
  static std::string_view reason_to_hold(const Connection& c, bool is_burst_over,
                                         bool is_note_over);
  int64_t since_origin(Instant t) const { return (t - origin_).count(); }

  Sink sink_;
  Instant origin_;
  uint64_t number_;
  fmt::memory_buffer line_;
  std::string_view held_for_;  // The last line's, if that was a hold.
  struct Timers {
    std::string_view recovery;
    Instant recovery_due = kNever, delack_due = kNever, idle_due = kNever;
    bool operator==(const Timers&) const = default;
  } known_;
};

}  // namespace wh::tcp
