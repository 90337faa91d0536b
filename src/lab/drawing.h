// A topology as text and as a picture.
#pragma once

#include <string>

#include "lab/topology.h"

namespace wh::lab {

// Each host with what it is and where its links lead, a line each.
std::string to_text(const Topology& topology);
// The same as JSON.
std::string to_json(const Topology& topology);
// Hosts on a circle, links between them with addresses at their ends: a whole SVG document.
std::string to_svg(const Topology& topology);

}  // namespace wh::lab
