// The JSON document of a report as a value, for what puts it into a larger one.
#pragma once

#include <nlohmann/json.hpp>

#include "lab/report.h"

namespace wh::lab {

nlohmann::ordered_json to_document(const Report& report);

// A document as text. Whatever is not UTF-8 in it, as a file's name may be, is replaced.
inline std::string written(const nlohmann::ordered_json& document, int indent = -1) {
  return document.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace wh::lab
