#include "dev/fiber_machine.h"

#include <algorithm>

namespace wh::dev {

struct FiberMachine::Strand {
  Strand(FiberMachine& machine, VirtualLoop& loop)
      : alarm(loop, [this, &machine] { machine.make_ready(*this); }) {}
  ::thread td;
  std::unique_ptr<Fiber> fiber;  // Null for the boot thread, and for one that has ended.
  Timer alarm;
  bool is_ready = false;
};

FiberMachine::FiberMachine(VirtualLoop& loop, Options options)
    : loop_(loop), options_(options), random_(options.seed) {
  Strand& boot = *strands_.emplace_back(std::make_unique<Strand>(*this, loop_));
  has_points_ = options_.switch_one_in != 0;
  boot.td.tid = 0;
  boot.td.name = "boot";
  current_ = &boot.td;
}

FiberMachine::~FiberMachine() = default;

::thread& FiberMachine::go(std::string name, std::function<void()> body, Credentials credentials) {
  Strand& strand = *strands_.emplace_back(std::make_unique<Strand>(*this, loop_));
  strand.td.tid = next_tid_++;
  strand.td.name = std::move(name);
  strand.td.credentials = std::move(credentials);
  if (idle_.empty()) {
    strand.fiber = std::make_unique<Fiber>(std::move(body));
  } else {
    strand.fiber = std::move(idle_.back());
    idle_.pop_back();
    strand.fiber->start_again(std::move(body));
  }
  make_ready(strand);
  return strand.td;
}

FiberMachine::Strand& FiberMachine::strand_of(::thread& td) {
  for (const auto& strand : strands_) {
    if (&strand->td == &td) return *strand;
  }
  UNREACHABLE();
}

void FiberMachine::make_ready(Strand& strand) {
  if (strand.is_ready) return;
  strand.is_ready = true;
  strand.alarm.disarm();
  if (strand.fiber != nullptr) ready_.push_back(&strand);
}

bool FiberMachine::step() {
  if (ready_.empty() && held_ != nullptr) make_ready(*std::exchange(held_, nullptr));
  if (ready_.empty()) return false;
  if (options_.switch_one_in != 0) {
    std::swap(ready_.front(), ready_[random_.below(ready_.size())]);
  }
  Strand& strand = *ready_.front();
  ready_.pop_front();
  strand.is_ready = false;
  ::thread* outer = current_;
  current_ = &strand.td;
  strand.fiber->resume();
  current_ = outer;
  if (strand.fiber->is_finished()) idle_.push_back(std::move(strand.fiber));
  return true;
}

void FiberMachine::run() {
  while (step()) {
  }
}

void FiberMachine::run_to_point(uint64_t n) {
  CHECK(held_ == nullptr);
  has_points_ = true;
  points_left_ = n;
  while (held_ == nullptr && step()) {
  }
  points_left_ = 0;
  has_points_ = options_.switch_one_in != 0;
}

void FiberMachine::run_for(Duration time) {
  const Instant end = loop_.now() + time;
  for (;;) {
    run();
    if (loop_.next_deadline() > end) break;
    loop_.step();
  }
  loop_.run_until(end);
}

bool FiberMachine::is_done(const ::thread& td) const {
  return std::none_of(strands_.begin(), strands_.end(),
                      [&](const auto& s) { return &s->td == &td && s->fiber != nullptr; });
}

bool FiberMachine::reap(::thread& td) {
  if (!is_done(td)) return false;
  strands_.remove_if([&](const auto& s) { return &s->td == &td; });
  return true;
}

void FiberMachine::each_thread(const std::function<void(::thread&)>& see) {
  for (const auto& s : strands_) {
    if (s->fiber != nullptr || s == strands_.front()) see(s->td);
  }
}

size_t FiberMachine::unfinished() const {
  return static_cast<size_t>(std::count_if(strands_.begin(), strands_.end(),
                                           [](const auto& s) { return s->fiber != nullptr; }));
}

std::vector<std::string> FiberMachine::waiting() const {
  std::vector<std::string> out;
  for (const auto& s : strands_) {
    if (s->td.wmesg != nullptr) out.push_back(s->td.name + ": " + s->td.wmesg.load());
  }
  return out;
}

void FiberMachine::lock() {
  CHECK(!is_locked_);
  is_locked_ = true;
}

void FiberMachine::unlock() {
  CHECK(is_locked_);
  is_locked_ = false;
}

// Lets others run until this strand is ready again.
void FiberMachine::rest(Strand& strand, Instant deadline) {
  if (deadline != kNever) strand.alarm.arm(deadline);
  if (strand.fiber != nullptr) {
    strand.fiber->suspend();
  } else {
    while (!strand.is_ready) {
      if (step()) continue;
      if (loop_.step()) continue;
      check_failed(__FILE__, __LINE__, "somebody can run",
                   fmt::format("deadlock: {}", fmt::join(waiting(), ", ")));
    }
    strand.is_ready = false;
  }
  strand.alarm.disarm();
}

void FiberMachine::park(::thread& td, Instant deadline) {
  unlock();
  rest(strand_of(td), deadline);
  lock();
}

void FiberMachine::unpark(::thread& td) {
  make_ready(strand_of(td));
}

void FiberMachine::visit_point() {
  if (is_locked_) return;
  if (points_left_ != 0) {
    if (--points_left_ != 0) return;
    held_ = &strand_of(*current_);
    return held_->fiber->suspend();
  }
  if (ready_.empty() || !random_.one_in(options_.switch_one_in)) return;
  Strand& strand = strand_of(*current_);
  if (strand.fiber == nullptr) {
    step();
    return;
  }
  make_ready(strand);
  strand.fiber->suspend();
}

}  // namespace wh::dev
