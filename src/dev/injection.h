// Fault injection for drivers: what may go wrong in a kernel, made to go wrong more often, from a
// seed.
#pragma once

#include "core/random.h"

namespace wh::dev {

class Injection {
 public:
  struct Chances {
    double no_memory = 0;  // M_NOWAIT returns null.
    double signal = 0;     // A sleep with PCATCH is ended by a signal.
    double slow_copy = 0;  // uiomove pauses for a millisecond on a page fault.
    double bad_copy = 0;   // uiomove fails with EFAULT.
  };
  Injection(uint64_t seed, Chances chances) : random_(seed), chances_(chances) {}

  bool no_memory() { return random_.chance(chances_.no_memory); }
  bool signal() { return random_.chance(chances_.signal); }
  bool slow_copy() { return random_.chance(chances_.slow_copy); }
  bool bad_copy() { return random_.chance(chances_.bad_copy); }

 private:
  Random random_;  // Used by one thread at a time: injection is for the fiber machine.
  Chances chances_;
};

}  // namespace wh::dev
