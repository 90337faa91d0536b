// The HPTS wheel beside the timers of libevent and libuv, at 100,000 and 1,000,000 entries.
//
// Three figures, each in nanoseconds of processor time for one operation on one entry:
//
//   insert     n entries are put, one after the other, on timers that hold none
//   re-arm     a random one of n waiting entries gets another deadline
//   sooner     the same, and always an earlier one: the wheel must move it (it leaves an entry that
//              is pushed on where it stands, to be moved when its slot is served)
//   expire     an entry comes due, its action runs and inserts it again, n waiting throughout
//
// Deadlines are drawn evenly from the coming second. The wheel runs in virtual time; libevent and
// libuv have only their own clocks, so for `expire` theirs are drawn from the coming 10 ms, which
// they cannot keep up with: they too are busy all the time. Goals: insert 15 ns, re-arm 40 ns,
// expire 60 ns (at 100,000), and a wheel of at most 2 MiB.
#include <benchmark/benchmark.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <uv.h>

#include <vector>

#include "core/random.h"
#include "core/virtual_loop.h"
#include "pacing/hpts.h"

namespace {

using namespace wh;

constexpr size_t kDraws = 1 << 20;

// Numbers drawn beforehand, so that drawing costs a load.
class Draws {
 public:
  Draws(uint64_t below, uint64_t seed) {
    Random random(seed);
    for (uint32_t& d : drawn_) d = static_cast<uint32_t>(random.below(below));
  }
  uint32_t next() { return drawn_[at_++ % kDraws]; }

 private:
  std::vector<uint32_t> drawn_ = std::vector<uint32_t>(kDraws);
  size_t at_ = 0;
};

class Wheel {
 public:
  explicit Wheel(size_t n) : clients_(n, Client{*this}) {}
  void insert(size_t i, uint32_t us) { hpts_.insert(clients_[i], Duration(us * 1000)); }
  void rearm(size_t i, uint32_t us) { hpts_.rearm(clients_[i], Duration(us * 1000)); }
  void remove(size_t i) { pacing::Hpts::remove(clients_[i]); }
  uint64_t expire_some() {
    const uint64_t before = books_.counters.calls;
    loop_.run_for(10ms);
    return books_.counters.calls - before;
  }
  static constexpr uint64_t kExpireWithin = 1'000'000;  // us
  static constexpr int kWarmUp = 120;                   // Once round, so that its sleep is tuned.

 private:
  struct Client final : pacing::HptsClient {
    explicit Client(Wheel& wheel) : wheel_(wheel) {}
    Client(const Client& o) : HptsClient(), wheel_(o.wheel_) {}
    void hpts_output(Duration) override {
      wheel_.hpts_.insert(*this, Duration(wheel_.draws_.next() * 1000));
    }
    Wheel& wheel_;
  };
  VirtualLoop loop_;
  pacing::HptsBooks books_;
  pacing::Hpts hpts_{loop_, books_};
  Draws draws_{kExpireWithin, 3};
  std::vector<Client> clients_;
};

class Libevent {
 public:
  explicit Libevent(size_t n) : base_(::event_base_new()), events_(n) {
    for (event& e : events_) ::event_assign(&e, base_, -1, 0, on_expiry, this);
  }
  ~Libevent() {
    for (event& e : events_) ::event_del(&e);
    ::event_base_free(base_);
  }
  void insert(size_t i, uint32_t us) { add(events_[i], us); }
  void rearm(size_t i, uint32_t us) { add(events_[i], us); }
  void remove(size_t i) { ::event_del(&events_[i]); }
  uint64_t expire_some() {
    const uint64_t before = expired_;
    ::event_base_loop(base_, EVLOOP_NONBLOCK);
    return expired_ - before;
  }
  static constexpr uint64_t kExpireWithin = 10'000;
  static constexpr int kWarmUp = 1;

 private:
  static void add(event& e, uint32_t us) {
    const timeval after{us / 1'000'000, us % 1'000'000};
    ::event_add(&e, &after);
  }
  static void on_expiry(evutil_socket_t, short, void* self) {
    auto& timers = *static_cast<Libevent*>(self);
    ++timers.expired_;
    // libevent says which event it is only while its callback runs.
    add(*::event_base_get_running_event(timers.base_), timers.draws_.next());
  }
  event_base* base_;
  std::vector<event> events_;
  Draws draws_{kExpireWithin, 3};
  uint64_t expired_ = 0;
};

class Libuv {
 public:
  explicit Libuv(size_t n) : timers_(n) {
    ::uv_loop_init(&loop_);
    for (uv_timer_t& t : timers_) {
      ::uv_timer_init(&loop_, &t);
      t.data = this;
    }
  }
  ~Libuv() {
    for (uv_timer_t& t : timers_) ::uv_close(reinterpret_cast<uv_handle_t*>(&t), nullptr);
    ::uv_run(&loop_, UV_RUN_DEFAULT);
    ::uv_loop_close(&loop_);
  }
  void insert(size_t i, uint32_t us) { ::uv_timer_start(&timers_[i], on_expiry, us / 1000, 0); }
  void rearm(size_t i, uint32_t us) { insert(i, us); }
  void remove(size_t i) { ::uv_timer_stop(&timers_[i]); }
  uint64_t expire_some() {
    const uint64_t before = expired_;
    ::uv_run(&loop_, UV_RUN_NOWAIT);
    return expired_ - before;
  }
  static constexpr uint64_t kExpireWithin = 10'000;
  static constexpr int kWarmUp = 1;

 private:
  static void on_expiry(uv_timer_t* timer) {
    auto& self = *static_cast<Libuv*>(timer->data);
    ++self.expired_;
    ::uv_timer_start(timer, on_expiry, self.draws_.next() / 1000, 0);
  }
  uv_loop_t loop_;
  std::vector<uv_timer_t> timers_;
  Draws draws_{kExpireWithin, 3};
  uint64_t expired_ = 0;
};

// `each`: processor time for one operation. `goal_ns` is the wheel's, where there is one.
void report(benchmark::State& state, double operations, double goal_ns) {
  state.counters["each"] =
      benchmark::Counter(operations, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  if (goal_ns > 0) state.counters["goal_ns"] = goal_ns;
}

template <class Timers>
void insert(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  Timers timers(n);
  Draws draws(1'000'000, 1);
  for (auto _ : state) {
    for (size_t i = 0; i < n; ++i) timers.insert(i, draws.next());
    state.PauseTiming();
    for (size_t i = 0; i < n; ++i) timers.remove(i);
    state.ResumeTiming();
  }
  report(state, static_cast<double>(state.iterations()) * static_cast<double>(n), 15);
}

template <class Timers>
void rearm(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  Timers timers(n);
  Draws delays(1'000'000, 1), which(n, 2);
  for (size_t i = 0; i < n; ++i) timers.insert(i, delays.next());
  for (auto _ : state) timers.rearm(which.next(), delays.next());
  report(state, static_cast<double>(state.iterations()), 40);
}

template <class Timers>
void sooner(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  Timers timers(n);
  Draws draws(1'000'000, 1);
  std::vector<uint32_t> due(n);
  const auto start_over = [&] {
    for (size_t i = 0; i < n; ++i) {
      timers.remove(i);
      timers.insert(i, due[i] = draws.next());
    }
  };
  start_over();
  size_t at = 0;
  for (auto _ : state) {
    const size_t i = at++ * 7919 % n;  // Each once in a round.
    timers.rearm(i, due[i] = due[i] / 2);
    if (at % (4 * n) == 0) {
      state.PauseTiming();
      start_over();
      state.ResumeTiming();
    }
  }
  report(state, static_cast<double>(state.iterations()), 0);
}

template <class Timers>
void expire(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  Timers timers(n);
  Draws draws(Timers::kExpireWithin, 1);
  for (size_t i = 0; i < n; ++i) timers.insert(i, draws.next());
  for (int i = 0; i < Timers::kWarmUp; ++i) timers.expire_some();
  uint64_t expired = 0;
  for (auto _ : state) expired += timers.expire_some();
  report(state, static_cast<double>(expired), n == 100'000 ? 60 : 0);
}

#define OPERATIONS(timers)                                 \
  BENCHMARK(insert<timers>)->Arg(100'000)->Arg(1'000'000); \
  BENCHMARK(rearm<timers>)->Arg(100'000)->Arg(1'000'000);  \
  BENCHMARK(sooner<timers>)->Arg(100'000)->Arg(1'000'000); \
  BENCHMARK(expire<timers>)->Arg(100'000)->Arg(1'000'000)

OPERATIONS(Wheel);
OPERATIONS(Libevent);
OPERATIONS(Libuv);

}  // namespace
