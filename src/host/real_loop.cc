#include "host/real_loop.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>

#include <algorithm>
#include <csignal>

#include "host/system.h"

namespace wh::host {
namespace {

Instant monotonic(Duration offset) {
  timespec t;
  // Cannot fail: the clock exists and the pointer is good.
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return Instant(std::chrono::seconds(t.tv_sec) + Duration(t.tv_nsec) + offset);
}

timespec to_timespec(Duration d) {
  return {d.count() / 1'000'000'000, d.count() % 1'000'000'000};
}

bool wants(Interest interest, Interest what) {
  return (static_cast<unsigned>(interest) & static_cast<unsigned>(what)) != 0;
}

bool is_within(Interest interest, Interest limit) {
  return (static_cast<unsigned>(interest) & ~static_cast<unsigned>(limit)) == 0;
}

uint32_t epoll_mask(Interest interest) {
  return (wants(interest, Interest::Read) ? uint32_t{EPOLLIN} : 0u) |
         (wants(interest, Interest::Write) ? uint32_t{EPOLLOUT} : 0u);
}

}  // namespace

Result<std::unique_ptr<RealLoop>> RealLoop::make(Config config) {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return os_error("make an epoll instance");
  Fd wake_event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_event) return os_error("make an eventfd");
  // Of the calling thread, and harmless to the rest of it. Fails only for a bad option number.
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  std::unique_ptr<RealLoop> loop(new RealLoop(config, std::move(epoll), std::move(wake_event)));
  TRY(loop->wake_watch_.watch(loop->wake_event_.raw()));
  return loop;
}

RealLoop::RealLoop(Config config, Fd epoll, Fd wake_event)
    : Loop(monotonic(config.offset)),
      config_(config),
      epoll_(std::move(epoll)),
      wake_event_(std::move(wake_event)),
      wake_watch_(*this, "wake", [this] {
        uint64_t times;
        // Empties the event; it was readable, and nobody else reads it.
        [[maybe_unused]] const ssize_t n = ::read(wake_event_.raw(), &times, sizeof times);
        if (on_wake_) on_wake_();
        return Progress::Some;
      }) {
  wake_watch_.set_background();
}

RealLoop::~RealLoop() {
  wake_watch_.unwatch();
  CHECK_EQ(watching_, 0u);
}

Instant RealLoop::clock() {
  return monotonic(config_.offset);
}

bool RealLoop::is_idle() const {
  return next_deadline() == kNever && foreground_ == 0 && !on_wake_;
}

bool RealLoop::run_until(Instant deadline) {
  CHECK(!is_running_);
  is_running_ = true;
  has_slept_ = false;
  clear_stop();
  for (bool over = false; !over;) {
    set_now(clock());
    fire_due(std::min(now(), deadline));
    if (is_stopped()) break;
    if (deadline == kNever && is_idle()) break;
    // Descriptors get their turn once more even when the time has come.
    over = clock() >= deadline && next_deadline() > deadline;
    wait(over ? now() : std::min(next_deadline(), deadline));
    while (batch_next_ < batch_size_ && !is_stopped()) {
      const epoll_event& event = batch_[static_cast<size_t>(batch_next_++)];
      set_now(clock());
      if (event.data.ptr != nullptr) static_cast<FdWatch*>(event.data.ptr)->dispatch(event.events);
    }
    batch_next_ = batch_size_ = 0;
    if (is_stopped()) break;
  }
  is_running_ = false;
  set_now(clock());
  return !is_stopped();
}

void RealLoop::fire_due(Instant limit) {
  for (int left = kTimersPerRound; left > 0 && next_deadline() <= limit; --left) {
    // What was due before the loop was first run is not its lateness.
    if (waits_ != 0) most_behind_ = std::max(most_behind_, now() - next_deadline());
    if (has_slept_) {
      wake_lateness_.record(static_cast<uint64_t>((now() - next_deadline()).count()));
      has_slept_ = false;
    }
    fire_next();
    if (is_stopped()) return;
    set_now(clock());
  }
}

void RealLoop::wait(Instant until) {
  has_slept_ = false;
  const Instant begin = clock();
  const Instant awake = alertness_.rest(begin);
  const bool is_over = pollers_ > 0 || awake >= until;
  if ((is_over || awake > begin) && (poll_until(is_over ? until : awake) || is_over)) return;
  if (until == kNever) {
    batch_size_ = poll(-1ns);
    return;
  }
  const Duration left = until - clock();
  has_slept_ = left > 0ns;
  batch_size_ = poll(std::max(left - config_.spin, Duration::zero()));
  if (batch_size_ == 0 && config_.spin > 0ns) poll_until(until);
  if (batch_size_ != 0) has_slept_ = false;
}

bool RealLoop::poll_until(Instant until) {
  do {
    batch_size_ = poll(0ns);
  } while (batch_size_ == 0 && !is_stopped() && clock() < until);
  return batch_size_ != 0 || is_stopped();
}

int RealLoop::poll(Duration timeout) {
  ++waits_;
  const timespec limit = to_timespec(timeout);
  const int n = ::epoll_pwait2(epoll_.raw(), batch_.data(), kEventsPerWait,
                               timeout < 0ns ? nullptr : &limit, nullptr);
  // A signal ends the wait early; the round begins again.
  CHECK(n >= 0 || errno == EINTR);
  return std::max(n, 0);
}

void RealLoop::wake() {
  const uint64_t one = 1;
  // Fails only when 2^64 - 2 wakes are pending, and then the loop wakes anyhow.
  [[maybe_unused]] const ssize_t n = ::write(wake_event_.raw(), &one, sizeof one);
}

void RealLoop::on_wake(std::function<void()> action) {
  on_wake_ = std::move(action);
}

void RealLoop::forget(const FdWatch& watch) {
  for (int i = batch_next_; i < batch_size_; ++i) {
    epoll_event& event = batch_[static_cast<size_t>(i)];
    if (event.data.ptr == &watch) event.data.ptr = nullptr;
  }
}

// --- FdWatch ---

FdWatch::FdWatch(RealLoop& loop, std::string name, Action readable, Action writable)
    : loop_(loop),
      name_(std::move(name)),
      readable_(std::move(readable)),
      writable_(std::move(writable)),
      able_(readable_ && writable_ ? Interest::ReadWrite
            : readable_            ? Interest::Read
                                   : Interest::Write) {}

FdWatch::~FdWatch() {
  unwatch();
  if (loop_.dispatching_ == this) loop_.dispatching_ = nullptr;
}

Result<void> FdWatch::control(int operation, Interest interest) {
  epoll_event event{};
  event.events = epoll_mask(interest);
  event.data.ptr = this;
  if (::epoll_ctl(loop_.epoll_.raw(), operation, fd_, &event) != 0) {
    return os_error("watch {}", name_);
  }
  return {};
}

Result<void> FdWatch::watch(int fd, Interest interest) {
  CHECK(fd >= 0);
  CHECK(is_within(interest, able_));
  unwatch();
  fd_ = fd;
  if (interest != Interest::None) {
    const auto added = control(EPOLL_CTL_ADD, interest);
    if (!added) {
      fd_ = -1;
      return added;
    }
  }
  interest_ = interest;
  idle_calls_ = 0;
  ++loop_.watching_;
  if (!is_background_) ++loop_.foreground_;
  return {};
}

void FdWatch::unwatch() {
  if (!is_watching()) return;
  if (interest_ != Interest::None) {
    // Cannot fail: the descriptor is watched, and is still open (see watch()).
    MUST(control(EPOLL_CTL_DEL, Interest::None));
    loop_.forget(*this);
  }
  fd_ = -1;
  interest_ = Interest::None;
  --loop_.watching_;
  if (!is_background_) --loop_.foreground_;
}

void FdWatch::set_interest(Interest interest) {
  CHECK(is_watching());
  CHECK(is_within(interest, able_));
  if (interest == interest_) return;
  // With no interest left it leaves the epoll set, which would otherwise go on reporting hang-ups.
  const int operation = interest_ == Interest::None  ? EPOLL_CTL_ADD
                        : interest == Interest::None ? EPOLL_CTL_DEL
                                                     : EPOLL_CTL_MOD;
  // Cannot fail: this descriptor could be watched before, and it is still open.
  MUST(control(operation, interest));
  if (interest == Interest::None) loop_.forget(*this);
  interest_ = interest;
}

void FdWatch::set_background() {
  CHECK(!is_watching());
  is_background_ = true;
}

void FdWatch::dispatch(uint32_t events) {
  const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  const bool can_read = (events & EPOLLIN) != 0 || broken;
  const bool can_write = (events & EPOLLOUT) != 0 || broken;
  if (can_read && wants(interest_, Interest::Read) && !act(readable_)) return;
  if (can_write && wants(interest_, Interest::Write)) act(writable_);
}

// Returns false when the action destroyed the watch.
bool FdWatch::act(Action& action) {
  RealLoop& loop = loop_;
  loop.dispatching_ = this;
  // Held here while it runs, so that it survives the watch.
  Action running = std::move(action);
  const Progress progress = running();
  if (loop.dispatching_ == nullptr) return false;
  loop.dispatching_ = nullptr;
  action = std::move(running);
  idle_calls_ = progress == Progress::Some ? 0 : idle_calls_ + 1;
  if (idle_calls_ == kBusyLimit) {
    check_failed(__FILE__, __LINE__, "a watch makes progress",
                 fmt::format("busy wait: '{}' was ready {} times in a row and did nothing", name_,
                             kBusyLimit));
  }
  return true;
}

// --- SignalWatch ---

Result<std::unique_ptr<SignalWatch>> SignalWatch::make(RealLoop& loop,
                                                       std::initializer_list<int> signals,
                                                       std::function<void(int)> action) {
  sigset_t wanted, before, to_unblock;
  ::sigemptyset(&wanted);
  for (const int signal : signals) ::sigaddset(&wanted, signal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &wanted, &before); error != 0) {
    return fail_with(static_cast<std::errc>(error), "block signals");
  }
  ::sigemptyset(&to_unblock);
  for (const int signal : signals) {
    if (::sigismember(&before, signal) == 0) ::sigaddset(&to_unblock, signal);
  }
  Fd fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return os_error("make a signalfd");
  std::unique_ptr<SignalWatch> watch(
      new SignalWatch(loop, std::move(fd), to_unblock, std::move(action)));
  TRY(watch->watch_.watch(watch->fd_.raw()));
  return watch;
}

SignalWatch::SignalWatch(RealLoop& loop, Fd fd, sigset_t to_unblock,
                         std::function<void(int)> action)
    : fd_(std::move(fd)),
      to_unblock_(to_unblock),
      action_(std::move(action)),
      watch_(loop, "signals", [this] { return read_signal(); }) {
  watch_.set_background();
}

SignalWatch::~SignalWatch() {
  watch_.unwatch();
  ::pthread_sigmask(SIG_UNBLOCK, &to_unblock_, nullptr);
}

Progress SignalWatch::read_signal() {
  signalfd_siginfo info;
  const ssize_t n = uninterrupted([&] { return ::read(fd_.raw(), &info, sizeof info); });
  if (n != sizeof info) return Progress::None;
  action_(static_cast<int>(info.ssi_signo));
  return Progress::Some;
}

}  // namespace wh::host
