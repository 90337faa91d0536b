// Random labs: a path with some faults switched on and others off, and flows across it both ways.
#pragma once

#include <string>

#include "core/random.h"
#include "lab/spec.h"

namespace wh::sim {

// Swarm testing: each kind of fault is off altogether in half of the worlds, so that the others can
// go deep.
lab::LabSpec random_lab(uint64_t seed);

}  // namespace wh::sim
