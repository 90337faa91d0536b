// JSON that commands print.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace wh::apps {

// A document as text. What is no UTF-8 (a host's name, a driver's word) is replaced in it, so that
// all else is told.
inline std::string to_text(const nlohmann::ordered_json& document) {
  constexpr int kIndent = 2;
  return document.dump(kIndent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace wh::apps
