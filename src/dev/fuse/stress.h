// A driver under real threads: what interleavings in virtual time cannot show, a data race.
//
// Threads of the host use every method at once, at random, with and without O_NONBLOCK; sleepers
// are signalled now and then; the driver is unloaded and loaded meanwhile. Built with
// ThreadSanitizer or AddressSanitizer, those speak up by themselves.
#pragma once

#include <string>
#include <vector>

#include "core/units.h"
#include "dev/module.h"

namespace wh::dev {

struct StressOptions {
  std::string driver;
  size_t threads = 8;
  Duration time = 2s;
  uint64_t seed = 1;
};

struct StressResult {
  uint64_t calls = 0;
  uint64_t unloads = 0;
  std::vector<std::string> findings;  // Misdeeds, and who never came back.
  bool is_finished = true;            // False: threads are still inside the driver.
};

StressResult stress(ModuleLoader& loader, const StressOptions& options);

}  // namespace wh::dev
