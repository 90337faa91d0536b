// A JSON document as text, whatever its strings hold.
#pragma once

#include <string>

namespace wh {
inline namespace core {

// What is not UTF-8 in it (a file's name, a host's, a driver's word) is replaced, so that all else
// is told. `Json`: nlohmann's. An indent of -1 is one line.
template <class Json>
std::string json_text(const Json& document, int indent = -1) {
  return document.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace core
}  // namespace wh
