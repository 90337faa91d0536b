#include "router/grammar_automaton.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

namespace wh::router {

using nlohmann::json;

namespace {

bool is_word_character(char c) {
  return std::string_view(" []()|*<>{}").find(c) == std::string_view::npos;
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
       at < syntax.size() && std::string_view("|)]}").find(syntax[at]) == std::string_view::npos;
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
  if (syntax[at] == '{') return list();
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

Grammar::Builder::Ends Grammar::Builder::list() {
  const size_t name_at = ++at;
  at = syntax.find(':', at);
  CHECK(at != std::string_view::npos);
  const bool has_commas = syntax[at - 1] == ',';
  const std::string name(syntax.substr(name_at, at - name_at - (has_commas ? 1 : 0)));
  ++at;
  const size_t own = command.states.size();
  const Ends inner = alternatives();
  CHECK(at < syntax.size() && syntax[at] == '}');
  ++at;
  for (size_t state = own; state < command.states.size(); ++state) {
    for (Edge& edge : command.states[state]) edge.list = name;
  }
  const auto beginning = command.closure(inner.first);
  CHECK(std::find(beginning.begin(), beginning.end(), inner.second) == beginning.end());
  for (const size_t state : beginning) {
    for (Edge& edge : command.states[state]) edge.is_first = edge.kind != Edge::Kind::Free;
  }
  const bool is_new = command.lists.emplace(name, inner).second;
  CHECK(is_new);
  const size_t first = new_state(), last = new_state();
  join(first, inner.first);
  join(inner.second, last);
  if (!has_commas) {
    join(last, first);
  } else {
    command.states[last].push_back(
        {.kind = Edge::Kind::Keyword, .name = ",", .to = first, .is_mute = true});
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

void Grammar::Command::find_ways_on() {
  ways_on.resize(states.size());
  for (size_t from = 0; from < states.size(); ++from) {
    for (const size_t state : closure(from)) {
      const bool has_word = std::any_of(states[state].begin(), states[state].end(),
                                        [](auto& edge) { return edge.kind != Edge::Kind::Free; });
      if (has_word || state == last) ways_on[from].push_back(state);
    }
  }
}

namespace {

// The syntax up to the first word that is no keyword.
std::string_view leading_text(std::string_view syntax) {
  const std::string_view text = syntax.substr(0, syntax.find_first_of("[(<|{"));
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

void Grammar::Command::mark_announcements() {
  for (auto& edges : states) {
    for (Edge& keyword : edges) {
      if (keyword.kind != Edge::Kind::Keyword) continue;
      for (const size_t state : closure(keyword.to)) {
        for (const Edge& next : states[state]) {
          const bool is_its_own = next.kind == Edge::Kind::Value && next.name == keyword.name;
          if (is_its_own && next.list == keyword.list) keyword.is_announcement = true;
        }
      }
    }
  }
}

std::vector<const Grammar::Edge*> Grammar::Command::words_of(std::string_view list) const {
  std::vector<const Edge*> words;
  for (const auto& edges : states) {
    for (const Edge& edge : edges) {
      if (edge.kind != Edge::Kind::Free && !edge.is_mute && edge.list == list) {
        words.push_back(&edge);
      }
    }
  }
  return words;
}

bool Grammar::Command::can_pass(size_t from, size_t to,
                                const std::function<bool(const Edge&)>& is_one) const {
  std::set<size_t> reached{from};
  std::vector<size_t> open{from};
  while (!open.empty()) {
    const size_t state = open.back();
    open.pop_back();
    for (const Edge& edge : states[state]) {
      if (is_one(edge)) continue;
      if (reached.insert(edge.to).second) open.push_back(edge.to);
    }
  }
  return reached.contains(to);
}

Result<Arguments> Grammar::Command::gather(const json& params, const Types& types,
                                           std::string_view list) const {
  if (!params.is_object()) return fail("'{}': accepted: objects", list);
  const auto words = words_of(list);
  Arguments values;
  for (const auto& [name, member] : params.items()) {
    if (list.empty() && lists.contains(name) && member.is_array()) {
      for (const json& element : member) {
        values.element(name, true) = TRY(gather(element, types, name));
      }
      continue;
    }
    std::string value;
    if (member.is_string()) {
      value = member.get<std::string>();
      TRY(check_word(value));
    } else if (member.is_number_integer()) {
      value = member.dump();
    } else if (member.is_boolean()) {
      value = member.get<bool>() ? name : "";
    } else {
      return fail("'{}': accepted: text, a whole number, true", name);
    }
    bool is_known = false;
    for (const Edge* edge : words) {
      if (edge->name != name) continue;
      is_known = true;
      if (value.empty() && member.is_boolean()) continue;  // It is not chosen.
      if (edge->kind == Edge::Kind::Value) TRY(types.find(edge->type)->second.check(value));
    }
    if (!is_known) return fail("'{}' is not a value of it", name);
    if (!member.is_boolean() || member.get<bool>()) values.set(name, value);
  }
  return values;
}

// Looks for a way through a command's automaton that uses exactly the values given. A list's
// elements each find theirs from the element's first state to its last, one after the other.
struct Grammar::Speller {
  const Command& command;
  const Arguments& values;
  size_t last;
  std::string_view list = {};                      // Whose element this is.
  bool has_begun = false;                          // The element's first word is taken.
  std::set<std::string> used = {};                 // Values and lists by name.
  std::set<std::pair<size_t, size_t>> tried = {};  // State, and how many were used when there.

  bool walk(size_t state) {
    if (state == last && used.size() == values.count()) return true;
    for (const auto& [name, ends] : command.lists) {
      if (ends.first == state && name != list) return take_list(name, ends);
    }
    for (const Edge& edge : command.states[state]) {
      if (edge.kind == Edge::Kind::Free || edge.is_mute) {
        if (tried.insert({edge.to, used.size()}).second && walk(edge.to)) return true;
      } else if (edge.list == list && take(edge)) {
        return true;
      }
    }
    return false;
  }
  bool take_list(const std::string& name, const std::pair<size_t, size_t>& ends) {
    const auto& elements = values.list(name);
    const bool is_spelt =
        !elements.empty() && std::all_of(elements.begin(), elements.end(), [&](const auto& one) {
          return Speller{command, one, ends.second, name}.walk(ends.first);
        });
    if (!is_spelt || !used.insert(name).second) return false;
    if (walk(ends.second)) return true;
    used.erase(name);
    return false;
  }
  // Goes over an edge if the values have its word.
  bool take(const Edge& edge) {
    if (edge.is_first && has_begun) return false;
    // The keyword before a value of its name ("repeat <repeat>") is given by that value.
    const bool is_keyword = edge.kind == Edge::Kind::Keyword;
    const bool is_given = edge.is_announcement || (values.has(edge.name) &&
                                                   (!is_keyword || values[edge.name] == edge.name));
    if (!is_given || (!edge.is_announcement && !used.insert(edge.name).second)) return false;
    const bool had_begun = std::exchange(has_begun, has_begun || edge.is_first);
    if (walk(edge.to)) return true;
    has_begun = had_begun;
    if (!edge.is_announcement) used.erase(edge.name);
    return false;
  }
};

bool Grammar::Command::can_spell(const Arguments& values) const {
  return Speller{*this, values, last}.walk(first);
}

}  // namespace wh::router
