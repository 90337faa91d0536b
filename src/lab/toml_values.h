// What the files of `wh pace` and of `wh lab` have in common: values as texts, and flows.
#pragma once

#include <fmt/format.h>
#include <toml++/toml.h>

#include <string>

#include "core/result.h"

namespace wh::lab {

// A value as the text that the flag of the same name would have had: 1, "10ms", true.
inline Result<std::string> value_text(const toml::node& node) {
  if (const auto* s = node.as_string()) return s->get();
  if (const auto* i = node.as_integer()) return std::to_string(i->get());
  if (const auto* f = node.as_floating_point()) return fmt::format("{}", f->get());
  if (const auto* b = node.as_boolean()) return b->get() ? "true" : "false";
  return fail("a text or a number is expected here");
}

// A [[flow]] in the words of --flow. `text_of(node, key)` reads a value.
template <class TextOf>
Result<std::string> flow_words(const toml::table& table, TextOf text_of) {
  std::string text;
  // The words of --flow, before which nothing may stand.
  if (const toml::node* preset = table.get("preset")) text = TRY(text_of(*preset, "preset"));
  for (const auto& [key, node] : table) {
    if (key == "preset") continue;
    if (const auto* word = node.as_boolean()) {
      if (word->get()) text += fmt::format("{}{}", text.empty() ? "" : ",", key.str());
      continue;
    }
    const std::string value = TRY(text_of(node, key.str()));
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key.str(), value);
  }
  return text;
}

}  // namespace wh::lab
