// The JSON document of a report as a value, for what puts it into a larger one.
#pragma once

#include <nlohmann/json.hpp>

#include "lab/report.h"

namespace wh::lab {

nlohmann::ordered_json to_document(const Report& report);

}  // namespace wh::lab
