// A kernel's machine on one thread, in virtual time: each of its threads is a fiber.
//
// Fibers change places only where a driver calls the kernel: when one sleeps, and, with
// `switch_one_in`, at random other calls, drawn from a seed. So an interleaving is a seed: it
// replays exactly, and a thousand seeds are a thousand interleavings. Time moves only when every
// fiber waits.
//
//   FiberMachine machine(loop);
//   Kernel kernel(machine, ...);
//   ::thread& reader = machine.go("reader", [&] { ... });  // Runs when somebody waits, or in
//   machine.run();                                         // run(), which is until all wait.
//   kernel.interrupt(reader);
//
// The code that made the machine is its boot thread; when that has to wait, the fibers run
// meanwhile.
#pragma once

#include <deque>
#include <list>
#include <memory>

#include "core/random.h"
#include "core/virtual_loop.h"
#include "dev/fiber.h"
#include "dev/machine.h"

namespace wh::dev {

class FiberMachine final : public Machine {
 public:
  struct Options {
    uint64_t seed = 1;
    uint32_t switch_one_in = 0;  // At each kernel call, switch with this chance; 0: never.
  };
  explicit FiberMachine(VirtualLoop& loop) : FiberMachine(loop, Options{}) {}
  FiberMachine(VirtualLoop& loop, Options options);
  ~FiberMachine() override;

  // Starts a fiber. The reference is good until the fiber has ended and its end been seen by
  // is_done().
  ::thread& go(std::string name, std::function<void()> body, Credentials credentials = {});
  void run();                   // Until nobody can run; time stands still.
  void run_for(Duration time);  // The same, with time.
  // Until somebody has passed `n` points; who was there then goes on when nobody else can run.
  // REQUIRES: n > 0.
  void run_to_point(uint64_t n);
  bool is_done(const ::thread& td) const;
  bool reap(::thread& td);  // Whether it has ended; then it is forgotten, and `td` gone.
  size_t unfinished() const;
  // The names of fibers that wait, and on what: "reader: echord".
  std::vector<std::string> waiting() const;

  Instant now() override { return loop_.now(); }
  void lock() override;
  void unlock() override;
  void park(::thread& td, Instant deadline) override;
  void unpark(::thread& td) override;
  void barrier() override {}  // There is one host thread.
  // The boot thread, and fibers that have not ended.
  void each_thread(const std::function<void(::thread&)>& see) override;
  void spawn(std::string name, std::function<void()> body) override {
    go(std::move(name), std::move(body));
  }

 protected:
  ::thread& find_current() override { return *current_; }
  void visit_point() override;

 private:
  struct Strand;  // A thread, its fiber and its alarm.
  Strand& strand_of(::thread& td);
  void make_ready(Strand& strand);
  bool step();  // Lets one ready fiber run, or false.
  void rest(Strand& strand, Instant deadline);

  VirtualLoop& loop_;
  Options options_;
  Random random_;
  std::list<std::unique_ptr<Strand>> strands_;  // The boot thread first.
  std::deque<Strand*> ready_;
  std::vector<std::unique_ptr<Fiber>> idle_;  // Have ended, and their stacks are there.
  ::thread* current_ = nullptr;
  uint64_t points_left_ = 0;  // Of run_to_point().
  Strand* held_ = nullptr;    // Where they came to an end.
  bool is_locked_ = false;
  int next_tid_ = 100001;
};

}  // namespace wh::dev
