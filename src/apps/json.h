// JSON that commands print.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/json_text.h"

namespace wh::apps {

inline std::string to_text(const nlohmann::ordered_json& document) {
  constexpr int kIndent = 2;
  return json_text(document, kIndent) + "\n";
}

}  // namespace wh::apps
