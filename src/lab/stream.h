// The two programs of a flow: one writes a pattern into a connection, the other checks it at its
// end.
//
// The byte at position p of a stream is byte (p + s) mod 65521 of a run of random bytes that all
// flows share; each has an s of its own, where it begins. The length is a prime, so bytes that
// arrive at a wrong place do not look right, and neither do another flow's. The source writes by
// reference: no byte is copied on the way.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/histogram.h"
#include "core/random.h"
#include "core/stream_pattern.h"
#include "lab/series.h"
#include "net/packet.h"
#include "tcp/connection.h"

namespace wh::lab {

class Pattern {
 public:
  explicit Pattern(Random random);
  // The same bytes, begun elsewhere: many flows share one chunk. REQUIRES: shift < kPeriod.
  Pattern(const Pattern& of, uint32_t shift) : chunk_(of.chunk_), shift_(shift) {}
  static constexpr uint32_t kPeriod = 65521;
  // The stream that host::KernelPeer sends and checks; made as it is asked for.
  explicit Pattern(StreamPattern stream) : stream_(stream) {}
  // The bytes at `position` of the stream: at most `most`, at least one. REQUIRES: most > 0.
  net::Slice at(uint64_t position, uint64_t most) const;
  bool matches(uint64_t position, std::span<const uint8_t> bytes) const;

 private:
  // Of the byte at `position`, in the chunk.
  uint32_t offset_of(uint64_t position) const {
    return static_cast<uint32_t>((position + shift_) % kPeriod);
  }
  net::ChunkRef chunk_;
  uint32_t shift_ = 0;
  std::optional<StreamPattern> stream_;
};

// Which end of a flow this is, and how much it sends.
struct StreamPlan {
  const Pattern* sends = nullptr;     // Null: it sends nothing.
  std::optional<uint64_t> total;      // Bytes to send; nothing: as long as the run lasts.
  uint64_t allowed = ~uint64_t{0};    // Bytes that it may send before allow() says more.
  const Pattern* receives = nullptr;  // Null: nothing is expected.
};

// One end of a connection. It sends what its plan says, then shuts its side down; it checks what
// comes, and closes when both sides are done.
class StreamEnd final : public tcp::ConnectionObserver {
 public:
  explicit StreamEnd(StreamPlan plan) : plan_(plan) {}
  ~StreamEnd() override;
  StreamEnd(const StreamEnd&) = delete;
  StreamEnd& operator=(const StreamEnd&) = delete;

  void attach(tcp::Connection& connection);  // Becomes its observer.
  void on_ready(tcp::Connection& connection, uint8_t readiness) override;
  void on_rtt(tcp::Connection&, Duration rtt) override {
    rtt_.record(static_cast<uint64_t>(rtt.count()));
    ++window_.count;
    window_.sum += rtt;
  }
  // It may send up to this position of its stream. Nothing when it already may.
  void allow(uint64_t position);

  uint64_t written() const { return written_; }    // Bytes given to the connection.
  uint64_t received() const { return received_; }  // Bytes taken from it, all right ones.
  // Everything was sent and acknowledged, and the other side has ended its stream.
  bool is_done() const { return connection_ == nullptr && failure_.empty() && was_attached_; }
  const std::string& failure() const {
    return failure_;
  }  // Why it ended otherwise; "" when it did not.
  // The connection's figures now, or when it was last alive.
  tcp::Info info() const;
  // Whether Dynamic Goodput Pacing paces it, or did when it was last alive: a flow's word or the
  // stack's default profile may have asked for it.
  bool is_dgp() const;
  // Null before attach() and after the end.
  const tcp::Connection* connection() const { return connection_; }
  const Histogram& rtt() const { return rtt_; }
  RttWindow take_rtt_window() { return std::exchange(window_, {}); }  // Since it was last taken.
  std::function<void()> on_received = {};                             // After received() has moved.
  std::function<void()> on_done = {};                                 // is_done() has become true.

 private:
  void fill();
  void drain();
  void leave_when_done();
  tcp::Connection* let_go();  // Keeps its last figures, and is its observer no more.

  StreamPlan plan_;
  tcp::Connection* connection_ = nullptr;
  bool was_attached_ = false;
  uint64_t written_ = 0, received_ = 0;
  tcp::Info last_info_;
  bool was_dgp_ = false;
  Histogram rtt_;
  RttWindow window_;
  std::string failure_;
};

}  // namespace wh::lab
