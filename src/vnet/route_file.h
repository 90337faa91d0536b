// Many routes from text at once: a full table in under a second.
//
//   # comment
//   192.0.2.0/24 via 10.0.0.1
//   198.51.100.0/24 via 10.0.0.1 weight 3 via 10.0.0.5
//   203.0.113.0/24 drop
//
// The whole text is read, and every next hop resolved, before the first route is set; an error
// names line and word, and leaves everything as it was. A route replaces a static one for the same
// prefix.
#pragma once

#include <string_view>

#include "core/result.h"
#include "vnet/vnet.h"

namespace wh::vnet {

// How many routes were set. Errors: a line that is none, with its number and what would be one; a
// next hop that nothing leads to; no such VRF.
Result<size_t> add_routes(Vnet& vnet, std::string_view text, uint32_t vrf = 0);

}  // namespace wh::vnet
