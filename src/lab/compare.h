// Two reports side by side: what became better or worse, and whether that is more than chance.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace wh::lab {

struct Comparison {
  std::string table;  // For a person.
  std::string json;   // For a program; ends with a newline.
};

// `a` and `b` are documents of to_json(); the names stand for them in the text. Flows are paired by
// name, those of one name in their order, links likewise; when the two have no name in common, by
// their order. What is in one alone is named. Errors: one is no such document; nothing to compare.
Result<Comparison> compare(std::string_view a, std::string_view name_a, std::string_view b,
                           std::string_view name_b);

}  // namespace wh::lab
