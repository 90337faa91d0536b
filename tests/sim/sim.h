// A simulation: a world made from a seed, run to its end under checkers.
//
// A world decides everything from its seed, so a failing one is replayed by its number. A broken
// invariant is a CHECK and ends the program, which first prints how to replay it; a wrong outcome
// is an error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace wh::sim {

struct Outcome {
  std::string world;    // What it was, in one line.
  uint64_t events = 0;  // Loop events handled.
  uint64_t bytes = 0;   // Payload delivered.
};

struct Simulation {
  std::string_view name;
  std::string_view claims;  // What must hold in every world.
  // Error: what did not hold.
  Result<Outcome> (*run)(uint64_t seed);
};

Result<Outcome> tcp_bulk(uint64_t seed);
Result<Outcome> determinism(uint64_t seed);
Result<Outcome> pcm_neighbour(uint64_t seed);

}  // namespace wh::sim
