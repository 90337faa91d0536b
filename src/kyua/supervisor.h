// Waits for one process of a case at a time, and sees to it that it ends.
//
// A wait is over when the process has ended; when its limit passes, its output or the number of its
// descendants grows beyond bounds, or the lifeline breaks, its process group gets SIGKILL, and then
// it has. stragglers() are what is left of the case afterwards: children that the kernel gave back
// to this subreaper.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "core/result.h"
#include "host/real_loop.h"
#include "kyua/model.h"
#include "kyua/protocol/protocol.h"

namespace wh::kyua {

class Supervisor {
 public:
  struct Limits {
    std::optional<Duration> time;
    Bytes output;
    uint32_t processes = 2000;  // Below the child, at a time; beyond it all are killed.
    int out = -1, err = -1;     // Whose sizes count; -1: none.
  };
  // `lifeline`: -1 for none. The loop must outlive this.
  Supervisor(host::RealLoop& loop, int lifeline) : loop_(loop), lifeline_(lifeline) {}

  // REQUIRES: a child that leads its process group, or will before it runs a program.
  Result<Ended> wait(pid_t child, const Limits& limits);
  // Of the child of the last wait, and who it was.
  const Usage& usage() const { return usage_; }
  pid_t child() const { return child_; }
  bool was_interrupted() const { return was_interrupted_; }
  bool was_too_loud() const { return was_too_loud_; }
  bool was_multiplying() const { return was_multiplying_; }
  // After this the lifeline no longer counts: cleanup routines run to their end.
  void ignore_lifeline() { lifeline_ = -1; }

  // Kills and reaps every child of this process but those `spared`. Errors: some did not die.
  static Result<void> end_stragglers(const std::vector<pid_t>& spared = {});

  host::RealLoop& loop() { return loop_; }

 private:
  bool is_too_loud(const Limits& limits) const;
  Ended reap(pid_t child);

  host::RealLoop& loop_;
  int lifeline_;
  Usage usage_;
  pid_t child_ = -1;
  bool was_interrupted_ = false, was_too_loud_ = false, was_multiplying_ = false;
};

}  // namespace wh::kyua
