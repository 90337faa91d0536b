// What a new connection's pacing begins with, from the stack's tunables.
#pragma once

#include "pacing/dgp.h"
#include "pacing/pace.h"
#include "tcp/tunables.h"

namespace wh::tcp {

pacing::BurstLimits usual_burst_limits(const Tunables& t);
pacing::Dgp::Config usual_dgp_config(const Tunables& t);  // Of profile 1; FCC is the connection's.

}  // namespace wh::tcp
