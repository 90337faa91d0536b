// Links that vary, for those who have no recording: traces in the mahimahi format
// (net/link/trace.h) made from a name, which stands where a trace's file would: `--link
// trace=steps:20Mbps:5Mbps:10s`.
//
//   steps:RATE:RATE[:RATE...]:TIME   each rate for TIME, in turn
//   ramp:LOW:HIGH:TIME               from LOW evenly up to HIGH in TIME, and down again
//   outage:RATE:UP:DOWN              RATE for UP, then nothing for DOWN
//   cellular:MEAN[:SEED]             as a phone sees a cell: 120 s in which the rate wanders
//   between a
//                                    tenth and three times MEAN, with short outages, and deliveries
//                                    come at chance
//
// The cellular one follows the model of "Stochastic Forecasts Achieve High Throughput and Low Delay
// over Cellular Networks" (Winstein, Sivaraman, Balakrishnan, NSDI 2013, section 3.1): deliveries
// are a Poisson process whose rate does a Brownian motion, sometimes stuck in an outage. Here the
// motion is of the rate's logarithm and is pulled back to the mean, so that a trace can be as long
// as one likes.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "net/link/link_config.h"

namespace wh::lab {

// The forms of the names, a line each, for --help.
extern const char* const kSyntheticForms;
// Whether a trace's name is one of the above and not a file's.
bool is_synthetic(std::string_view name);
// The text of the trace file; the same for the same name. Errors name the part and what is
// accepted.
Result<std::string> make_trace(std::string_view name);
// Fills in the traces that a link names: of the above, or files'.
Result<void> load_traces(net::LinkConfig& link);

}  // namespace wh::lab
