#include "lab/flow.h"

namespace wh::lab {

void Flow::set_pace(tcp::Connection& connection) const {
  if (spec_.rate) connection.set_pace_rate(*spec_.rate);
  if (spec_.fcc) connection.set_fcc(*spec_.fcc);
  if (spec_.fcc_share > 0) connection.set_fcc_share(spec_.fcc_share);
  if (spec_.is_fill) MUST_VOID(connection.set_pace_to_fill(true));
  if (spec_.is_dgp) MUST_VOID(connection.set_profile(1));  // parse_flow() lets no rate beside it.
}

std::string Flow::profile() const {
  return spec_.is_dgp ? "dgp" : spec_.is_fill ? "fill" : spec_.rate ? "fixed" : "unpaced";
}

}  // namespace wh::lab
