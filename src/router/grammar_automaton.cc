#include "router/grammar_automaton.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace wh::router {

using nlohmann::json;

namespace {

bool is_word_character(char c) {
  return std::string_view(" []()|*<>").find(c) == std::string_view::npos;
}

}  // namespace

// --- from syntax ---

size_t Grammar::Builder::new_state() {
  command.states.emplace_back();
  return command.states.size() - 1;
}

void Grammar::Builder::join(size_t from, size_t to) {
  command.states[from].push_back({.kind = Edge::Kind::Free, .to = to});
}

void Grammar::Builder::skip_spaces() {
  while (at < syntax.size() && syntax[at] == ' ') ++at;
}

Grammar::Builder::Ends Grammar::Builder::alternatives() {
  std::vector<Ends> choices{sequence()};
  while (at < syntax.size() && syntax[at] == '|') {
    ++at;
    choices.push_back(sequence());
  }
  if (choices.size() == 1) return choices.front();
  const size_t first = new_state(), last = new_state();
  for (const Ends& choice : choices) {
    join(first, choice.first);
    join(choice.second, last);
  }
  return {first, last};
}

Grammar::Builder::Ends Grammar::Builder::sequence() {
  const size_t first = new_state();
  size_t last = first;
  for (skip_spaces();
       at < syntax.size() && syntax[at] != '|' && syntax[at] != ')' && syntax[at] != ']';
       skip_spaces()) {
    const Ends next = item();
    join(last, next.first);
    last = next.second;
  }
  return {first, last};
}

Grammar::Builder::Ends Grammar::Builder::item() {
  if (syntax[at] == '(') return group(')');
  if (syntax[at] == '[') return group(']');
  return word();
}

Grammar::Builder::Ends Grammar::Builder::group(char close) {
  ++at;
  const Ends inner = alternatives();
  CHECK(at < syntax.size() && syntax[at] == close);
  ++at;
  // States of its own around it, so that a repetition cannot be entered from outside.
  const size_t first = new_state(), last = new_state();
  join(first, inner.first);
  join(inner.second, last);
  if (close == ']') join(first, last);
  if (at < syntax.size() && syntax[at] == '*') {
    ++at;
    join(last, first);
  }
  return {first, last};
}

Grammar::Builder::Ends Grammar::Builder::word() {
  const size_t first = new_state(), last = new_state();
  Edge edge{.to = last};
  if (syntax[at] == '<') {
    const size_t end = syntax.find('>', at);
    CHECK(end != std::string_view::npos);
    const std::string_view text = syntax.substr(at + 1, end - at - 1);
    const size_t colon = text.find(':');
    edge.kind = Edge::Kind::Value;
    edge.name = text.substr(0, colon);
    edge.type = colon == std::string_view::npos ? text : text.substr(colon + 1);
    at = end + 1;
  } else {
    const size_t begin = at;
    while (at < syntax.size() && is_word_character(syntax[at])) ++at;
    CHECK(at > begin);
    edge.kind = Edge::Kind::Keyword;
    edge.name = syntax.substr(begin, at - begin);
  }
  command.states[first].push_back(std::move(edge));
  return {first, last};
}

ValueType range_type(std::string_view range) {
  const size_t dots = range.find("..");
  CHECK(dots != std::string_view::npos);
  uint64_t low = 0, high = 0;
  auto read = [](std::string_view text, uint64_t& into) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    return error == std::errc() && end == text.data() + text.size();
  };
  const bool is_sound = read(range.substr(0, dots), low) && read(range.substr(dots + 2), high);
  CHECK(is_sound);
  auto check = [=](std::string_view word) -> Result<void> {
    uint64_t value = 0;
    if (read(word, value) && value >= low && value <= high) return {};
    return fail("'{}' is not a number from {} to {}", word, low, high);
  };
  return {fmt::format("a number from {} to {}", low, high), std::move(check)};
}

// --- of a finished one ---

std::vector<size_t> Grammar::Command::closure(size_t from) const {
  std::set<size_t> reached{from};
  std::vector<size_t> open{from};
  while (!open.empty()) {
    const size_t state = open.back();
    open.pop_back();
    for (const Edge& edge : states[state]) {
      if (edge.kind == Edge::Kind::Free && reached.insert(edge.to).second) open.push_back(edge.to);
    }
  }
  return {reached.begin(), reached.end()};
}

namespace {

// The syntax up to the first word that is no keyword.
std::string_view leading_text(std::string_view syntax) {
  const std::string_view text = syntax.substr(0, syntax.find_first_of("[(<|"));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

}  // namespace

std::string Grammar::Command::leading() const {
  return std::string(leading_text(syntax));
}

size_t Grammar::Command::leading_count() const {
  const std::string_view text = leading_text(syntax);
  return static_cast<size_t>(std::count(text.begin(), text.end(), ' ')) + (text.empty() ? 0 : 1);
}

std::set<size_t> Grammar::Command::leading_states() const {
  std::set<size_t> found;
  size_t state = first;
  for (size_t left = leading_count(); left > 0;) {
    found.insert(state);
    const Edge& edge = states[state].front();  // A sequence has one way on.
    if (edge.kind == Edge::Kind::Keyword) --left;
    state = edge.to;
  }
  return found;
}

bool Grammar::Command::announces(const Edge& keyword) const {
  for (const size_t state : closure(keyword.to)) {
    for (const Edge& edge : states[state]) {
      if (edge.kind == Edge::Kind::Value && edge.name == keyword.name) return true;
    }
  }
  return false;
}

bool Grammar::Command::can_end_without(const std::string& value) const {
  std::set<size_t> reached{first};
  std::vector<size_t> open{first};
  while (!open.empty()) {
    const size_t state = open.back();
    open.pop_back();
    for (const Edge& edge : states[state]) {
      if (edge.kind == Edge::Kind::Value && edge.name == value) continue;
      if (reached.insert(edge.to).second) open.push_back(edge.to);
    }
  }
  return reached.contains(last);
}

Result<void> Grammar::Command::gather(const json& params,
                                      std::map<std::string, std::string>& values) const {
  std::set<std::string> known;
  for (const auto& edges : states) {
    for (const Edge& edge : edges) known.insert(edge.name);
  }
  for (const auto& [name, member] : params.items()) {
    if (name.empty() || !known.contains(name)) return fail("'{}' is not a value of it", name);
    if (member.is_string()) {
      values[name] = member.get<std::string>();
    } else if (member.is_number_integer()) {
      values[name] = member.dump();
    } else if (member.is_boolean()) {
      if (member.get<bool>()) values[name] = name;
    } else {
      return fail("'{}': accepted: text, a whole number, true", name);
    }
  }
  return {};
}

Result<void> Grammar::Command::check(const std::map<std::string, std::string>& values,
                                     const Types& types) const {
  for (const auto& edges : states) {
    for (const Edge& edge : edges) {
      const auto value = values.find(edge.name);
      if (edge.kind != Edge::Kind::Value || value == values.end()) continue;
      TRY_VOID(types.find(edge.type)->second.check(value->second));
    }
  }
  return {};
}

}  // namespace wh::router
