#include "lab/program.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace wh::lab {
namespace {

// Sends for a time, is silent for a time. What it has given to TCP is sent, whatever the time, so
// it gives little in advance: 64 KiB, or what left in the last two milliseconds when that is more.
class TimedOnOff final : public Program {
 public:
  TimedOnOff(Duration on, Duration off, const Ends& ends)
      : on_(on), off_(off), ends_(ends), tick_(ends.loop, [this] { tick(); }) {}

  void start() override {
    turn_ = ends_.loop.now() + on_;
    tick();
  }

 private:
  static constexpr Duration kTopUp = 1ms;

  void tick() {
    const Instant now = ends_.loop.now();
    if (now >= turn_) {
      is_on_ = !is_on_;
      turn_ = now + (is_on_ ? on_ : off_);
      sent_ = sent();  // What left during the silence is no measure of a tick.
    }
    if (is_on_) top_up();
    tick_.arm(is_on_ ? std::min(turn_, now + kTopUp) : turn_);
  }
  uint64_t sent() const {
    return ends_.sender.written() - static_cast<uint64_t>(ends_.sender.info().unsent.count());
  }
  void top_up() {
    const uint64_t now = sent(), in_a_tick = now - std::exchange(sent_, now);
    ends_.sender.allow(now + std::max<uint64_t>(2 * in_a_tick, 65536));
  }

  Duration on_, off_;
  Ends ends_;
  bool is_on_ = true;
  uint64_t sent_ = 0;  // At the last tick.
  Instant turn_;
  Timer tick_;
};

// Sends a burst of so many bytes, is silent for a time after it has arrived.
class SizedOnOff final : public Program {
 public:
  SizedOnOff(Bytes on, Duration off, const Ends& ends)
      : size_(static_cast<uint64_t>(on.count())),
        off_(off),
        ends_(ends),
        next_(ends.loop, [this] { start(); }) {}

  void start() override {
    until_ += size_;
    ends_.sender.allow(until_);
  }
  void on_received() override {
    if (ends_.receiver.received() == until_ && !next_.is_armed()) {
      next_.arm(ends_.loop.now() + off_);
    }
  }

 private:
  uint64_t size_, until_ = 0;
  Duration off_;
  Ends ends_;
  Timer next_;
};

// A video and its player. The player asks for the next chunk when its buffer has room for one, by a
// request of 256 bytes; it begins to play with the first whole chunk; when it has played all it has
// it stops and goes on with the next whole chunk: a rebuffer.
class VideoPlayer final : public Program {
 public:
  VideoPlayer(const Video& video, const Ends& ends)
      : video_(video),
        chunk_bytes_(static_cast<uint64_t>(video.chunk_bytes().count())),
        ends_(ends),
        room_(ends.loop, [this] { ask(); }),
        dry_(ends.loop, [this] { run_dry(); }) {}

  void start() override {
    started_ = ends_.loop.now();
    ask();
  }
  bool has_requests() const override { return true; }
  void on_request() override {
    ends_.sender.allow(ends_.sender.received() / kRequest * chunk_bytes_);
  }
  void on_received() override {
    for (; ends_.receiver.received() >= (chunks_ + 1) * chunk_bytes_; take_chunk()) {
    }
  }
  void report(FlowReport& to) const override {
    VideoReport v{.chunks = chunks_, .rebuffers = rebuffers_, .stalled = stalled_};
    if (play_delay_) {
      v.play_delay = *play_delay_;
      if (!playing_) v.stalled += ends_.loop.now() - stopped_;
    }
    v.fetch = fetch_;
    to.video = v;
  }

 private:
  static constexpr uint64_t kRequest = 256;

  // Playing time that has arrived, and that was played, until now.
  Duration arrived() const { return video_.chunk * static_cast<int64_t>(chunks_); }
  Duration played() const { return playing_ ? played_ + (ends_.loop.now() - since_) : played_; }

  void ask() {
    ends_.receiver.allow(++requests_ * kRequest);
    asked_ = ends_.loop.now();
  }
  void take_chunk() {
    const Instant now = ends_.loop.now();
    ++chunks_;
    fetch_.record(static_cast<uint64_t>((now - asked_).count()));
    if (!playing_) {
      if (!play_delay_) {
        play_delay_ = now - started_;
      } else {
        stalled_ += now - stopped_;
      }
      playing_ = true;
      since_ = now;
    }
    const Duration held = arrived() - played();
    dry_.arm(now + held);
    room_.arm(now + std::max<Duration>(0ns, held + video_.chunk - video_.buffer));
  }
  void run_dry() {
    played_ = arrived();
    playing_ = false;
    stopped_ = ends_.loop.now();
    ++rebuffers_;
  }

  Video video_;
  uint64_t chunk_bytes_;
  Ends ends_;
  uint64_t requests_ = 0, chunks_ = 0, rebuffers_ = 0;
  Duration played_{}, stalled_{};
  std::optional<Duration> play_delay_;
  bool playing_ = false;
  Instant started_, asked_, since_, stopped_;  // since_: when it last began to play.
  Histogram fetch_;
  Timer room_, dry_;
};

}  // namespace

std::unique_ptr<Program> make_program(const Workload& workload, const Program::Ends& ends) {
  if (const auto* video = std::get_if<Video>(&workload)) {
    return std::make_unique<VideoPlayer>(*video, ends);
  }
  if (const auto* onoff = std::get_if<OnOff>(&workload)) {
    if (const auto* time = std::get_if<Duration>(&onoff->on)) {
      return std::make_unique<TimedOnOff>(*time, onoff->off, ends);
    }
    return std::make_unique<SizedOnOff>(std::get<Bytes>(onoff->on), onoff->off, ends);
  }
  return nullptr;
}

}  // namespace wh::lab
