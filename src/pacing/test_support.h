// What the tests of pacing count with.
#pragma once

#include "core/loop.h"
#include "core/units.h"

namespace wh::pacing {

constexpr Bytes kMss(1448);
constexpr Instant kT0 = Instant(1000s);

}  // namespace wh::pacing
