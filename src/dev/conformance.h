// A conformance suite for drivers: what every character device driver must do, whatever its device
// is.
//
// Each check runs trials of the driver (dev/trial.h), in virtual time, one for each seed; a finding
// names the seed that shows it again. What a device means is not known here, so checks compare the
// driver with itself: poll with read, what sleeps with what wakes it, the kernel before with the
// kernel after. Real threads are dev/fuse/stress.h's.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dev/module.h"

namespace wh::dev {

class Trial;

struct Finding {
  uint64_t seed;
  std::string text;
};

struct Check {
  const char* name;
  const char* asks;  // "What is left after kldunload?"
  void (*run)(Trial& trial);
  uint32_t seeds;  // Trials; more than one where interleaving or faults matter.
  uint32_t switch_one_in;
  bool injects_faults;
};
std::span<const Check> conformance_checks();

// Runs one check; each finding once, with the first seed that showed it. `seeds` scales the trials
// of a check that has several.
std::vector<Finding> run_check(const Check& check, ModuleLoader& loader, const std::string& driver,
                               uint64_t first_seed, uint32_t seeds);

}  // namespace wh::dev
