// A kernel's machine on the host's threads and clock.
//
// Any host thread that calls in becomes one of the kernel's, and stays so until the machine goes. A
// sleep is a wait on a condition variable of the thread's own; nothing spins.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "dev/machine.h"

namespace wh::dev {

class ThreadMachine : public Machine {
 public:
  ThreadMachine();
  ~ThreadMachine() override;  // Waits for spawned threads. REQUIRES: no other thread is inside.

  Instant now() override;
  void lock() override { mutex_.lock(); }
  void unlock() override { mutex_.unlock(); }
  void park(::thread& td, Instant deadline) override;
  void unpark(::thread& td) override;
  void barrier() override;  // membarrier(2), where the host has it.
  void each_thread(const std::function<void(::thread&)>& see) override;
  void spawn(std::string name, std::function<void()> body) override;

 protected:
  ::thread& find_current() override;

 private:
  struct Record;
  Record& enlist();

  std::mutex mutex_;
  std::mutex roster_;  // After mutex_, if both.
  std::map<std::thread::id, std::unique_ptr<Record>> records_;
  int next_tid_ = 100001;
  size_t spawned_ = 0;  // Threads of spawn() that have not ended.
  std::condition_variable all_ended_;
};

}  // namespace wh::dev
