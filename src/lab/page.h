// A report as one HTML file that opens from disk, with no network: the page's code and style, the
// charts' library and the figures are all in it (web/, and cmake/embed.cmake).
//
// The figures are one JSON document in the page, `<script type="application/json" id="data">`;
// everything that is seen is drawn from it by web/*.js, and a plain table stands there for who has
// no JavaScript.
#pragma once

#include <string>

#include "lab/report.h"

namespace wh::lab {

// `command` is what a person would type to get it again.
std::string to_page(const Report& report, const std::string& command);

// A heat map of a sweep: `json` is SweepStore::json(), `plain` stands for it without JavaScript.
std::string to_sweep_page(const std::string& title, const std::string& json,
                          const std::string& plain);

}  // namespace wh::lab
