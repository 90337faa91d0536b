#include "router/grammar.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "core/sysctl.h"
#include "router/grammar_automaton.h"

namespace wh::router {

using nlohmann::json;

// --- words ---

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

}  // namespace

bool is_blank(std::string_view line) {
  const auto first = std::find_if_not(line.begin(), line.end(), is_space);
  return first == line.end() || *first == '#';
}

Result<std::vector<Word>> split_words(std::string_view line) {
  std::vector<Word> words;
  size_t at = 0;
  while (at < line.size()) {
    const char c = line[at];
    if (is_space(c)) {
      ++at;
      continue;
    }
    if (c == '#') break;
    Word word{{}, at + 1};
    if (c == '"') {
      const size_t end = line.find('"', at + 1);
      if (end == std::string_view::npos)
        return fail("column {}: a quote that is not closed", at + 1);
      word.text = line.substr(at + 1, end - at - 1);
      at = end + 1;
    } else {
      size_t end = at + 1;
      while (end < line.size() && !is_space(line[end])) ++end;
      word.text = line.substr(at, end - at);
      at = end;
    }
    if (c != '"' && word.text.size() > 1 && word.text.back() == ',') {
      word.text.pop_back();
      words.push_back(std::move(word));
      word = {",", at};
    }
    words.push_back(std::move(word));
  }
  return words;
}

Result<void> check_word(std::string_view word) {
  auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (word.find('"') == std::string_view::npos &&
      std::none_of(word.begin(), word.end(), is_control)) {
    return {};
  }
  std::string shown(word);
  std::replace_if(shown.begin(), shown.end(), is_control, '?');
  return fail("'{}': accepted: a word without quotes and control characters", shown);
}

std::string quote_word(std::string_view word) {
  if (!word.empty() && word.find_first_of(" \t#\",") == std::string_view::npos) {
    return std::string(word);
  }
  return fmt::format("\"{}\"", word);
}

// --- arguments ---

const std::string& Arguments::operator[](std::string_view name) const {
  const auto it = values_.find(name);
  CHECK(it != values_.end());
  return it->second;
}

std::string Arguments::get(std::string_view name, std::string_view otherwise) const {
  const auto it = values_.find(name);
  return it == values_.end() ? std::string(otherwise) : it->second;
}

uint64_t Arguments::number(std::string_view name, uint64_t otherwise) const {
  const auto it = values_.find(name);
  if (it == values_.end()) return otherwise;
  uint64_t value = 0;
  const std::string& text = it->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  CHECK(error == std::errc() && end == text.data() + text.size());  // Its type was checked.
  return value;
}

const std::vector<Arguments>& Arguments::list(std::string_view name) const {
  static const std::vector<Arguments> kNone;
  const auto it = lists_.find(name);
  return it == lists_.end() ? kNone : it->second;
}

Arguments& Arguments::element(std::string_view list, bool is_new) {
  auto& elements = lists_[std::string(list)];
  if (is_new) elements.emplace_back();
  CHECK(!elements.empty());
  return elements.back();
}

// --- the grammar ---

// What the words of a line were taken for. Each knows the one before it, so that places share their
// beginnings, and a line of 100,000 words (a long access list) costs what its words do.
struct Grammar::Taken {
  static constexpr size_t kNone = SIZE_MAX;
  const Edge* edge;
  const Word* word;
  size_t before = kNone;
};

// Where a command stands: one state of its automaton, and the word that led there.
struct Grammar::Place {
  size_t command = 0;
  size_t state = 0;
  size_t taken = Taken::kNone;
};

Grammar::Grammar() = default;
Grammar::~Grammar() = default;

void Grammar::add_type(std::string name, ValueType type) {
  const bool is_new = types_.emplace(std::move(name), std::move(type)).second;
  CHECK(is_new);
}

size_t Grammar::add(std::string_view syntax, std::string_view help) {
  auto command = std::make_unique<Command>();
  command->syntax = syntax;
  command->help = help;
  Builder builder{syntax, *command, 0};
  const auto ends = builder.alternatives();
  CHECK(builder.at == syntax.size());
  command->first = ends.first;
  command->last = ends.second;
  for (const size_t state : command->leading_states()) {
    command->states[state].front().is_mute = true;
  }
  command->mark_announcements();
  for (const auto& edges : command->states) {
    for (const Edge& edge : edges) {
      if (edge.kind != Edge::Kind::Value || types_.contains(edge.type)) continue;
      types_.emplace(edge.type, range_type(edge.type));
    }
  }
  const size_t number = commands_.size();
  command->find_ways_on();
  for (const size_t state : command->ways_on[command->first]) {
    beginning_.push_back({number, state});
    for (const Edge& edge : command->states[state]) {
      if (edge.kind != Edge::Kind::Keyword) continue;
      auto& places = first_words_[edge.name];
      if (places.empty() || places.back().command != number || places.back().state != state) {
        places.push_back({number, state});
      }
    }
  }
  commands_.push_back(std::move(command));
  return number;
}

const std::string& Grammar::syntax(size_t command) const {
  return commands_[command]->syntax;
}
const std::string& Grammar::help(size_t command) const {
  return commands_[command]->help;
}

const ValueType& Grammar::type_of(const Edge& edge) const {
  const auto it = types_.find(edge.type);
  CHECK(it != types_.end());
  return it->second;
}

bool Grammar::fits(const Edge& edge, const std::string& word) const {
  const ValueType& type = type_of(edge);
  return type.fits ? type.fits(word) : type.check(word).has_value();
}

namespace {

std::string list_of(const std::vector<Expectation>& expectations) {
  std::vector<std::string> texts;
  for (const Expectation& e : expectations) {
    texts.push_back(e.is_keyword ? e.text : fmt::format("{} ({})", e.text, e.help));
  }
  constexpr size_t kMost = 16;
  const size_t more = texts.size() > kMost ? texts.size() - kMost : 0;
  texts.resize(texts.size() - more);
  return fmt::format("{}{}", fmt::join(texts, ", "),
                     more == 0 ? "" : fmt::format(", and {} more", more));
}

}  // namespace

// What a keyword is for: what its command is for, or, when several have it, how they go on.
std::string Grammar::help_of(const std::string& keyword, const std::vector<Place>& places) const {
  std::set<size_t> commands;
  std::set<std::string> ways;
  for (const Place& place : places) {
    const Command& command = *commands_[place.command];
    for (const Edge& edge : command.states[place.state]) {
      if (edge.kind != Edge::Kind::Keyword || edge.name != keyword) continue;
      commands.insert(place.command);
      for (const size_t state : command.ways_on[edge.to]) {
        for (const Edge& next : command.states[state]) {
          if (next.kind == Edge::Kind::Keyword) ways.insert(next.name);
          if (next.kind == Edge::Kind::Value) ways.insert(fmt::format("<{}>", next.name));
        }
      }
    }
  }
  if (commands.size() == 1) return commands_[*commands.begin()]->help;
  constexpr size_t kMost = 6;
  std::vector<std::string> first(ways.begin(), ways.end());
  const bool is_cut = first.size() > kMost;
  if (is_cut) first.resize(kMost);
  return fmt::format("{}{}", fmt::join(first, ", "), is_cut ? ", .." : "");
}

std::vector<Expectation> Grammar::after(const std::vector<Place>& places) const {
  std::vector<Expectation> all;
  std::set<std::string> seen;
  bool is_end = false;
  for (const Place& place : places) {
    const Command& command = *commands_[place.command];
    if (place.state == command.last) is_end = true;
    for (const Edge& edge : command.states[place.state]) {
      if (edge.kind == Edge::Kind::Free) continue;
      const bool is_keyword = edge.kind == Edge::Kind::Keyword;
      std::string text = is_keyword ? edge.name : fmt::format("<{}>", edge.name);
      if (!seen.insert(text).second) continue;
      std::string help = is_keyword ? help_of(text, places) : type_of(edge).accepts;
      all.push_back({std::move(text), std::move(help), is_keyword});
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Expectation& a, const Expectation& b) {
    return std::pair(!a.is_keyword, a.text) < std::pair(!b.is_keyword, b.text);
  });
  if (is_end && !all.empty()) all.push_back({"<cr>", "the end of the line", false});
  return all;
}

std::string Grammar::refusal(const std::vector<Place>& places, const Word& word) const {
  const auto expected = after(places);
  std::set<std::string> refusals;  // Of values.
  for (const Place& place : places) {
    for (const Edge& edge : commands_[place.command]->states[place.state]) {
      if (edge.kind != Edge::Kind::Value) continue;
      if (const auto fits = type_of(edge).check(word.text); !fits) {
        refusals.insert(fits.error().text);
      }
    }
  }
  if (expected.size() == 1 && refusals.size() == 1) {
    return fmt::format("column {}: {}", word.column, *refusals.begin());
  }
  std::vector<std::string> texts;
  for (const auto& e : expected) texts.push_back(e.text);
  // Of what is known by name, the names say more than the type.
  std::set<std::string> known;
  for (const Place& place : places) {
    for (const Edge& edge : commands_[place.command]->states[place.state]) {
      if (edge.kind != Edge::Kind::Value || !type_of(edge).candidates) continue;
      for (std::string& name : type_of(edge).candidates()) texts.push_back(std::move(name));
      if (const auto fits = type_of(edge).check(word.text); !fits) known.insert(fits.error().text);
    }
  }
  const std::string near = nearest(word.text, texts);
  return fmt::format("column {}: unknown input '{}'; accepted: {}{}{}{}", word.column, word.text,
                     expected.empty() ? "the end of the line" : list_of(expected),
                     known.size() == 1 ? "; " : "", known.size() == 1 ? *known.begin() : "",
                     near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
}

Result<std::vector<Grammar::Place>> Grammar::step(const std::vector<Place>& places,
                                                  const Word& word,
                                                  std::vector<Taken>& taken) const {
  struct Candidate {
    const Place* place;
    const Edge* edge;
  };
  if (const auto sound = check_word(word.text); !sound) {
    return fail("column {}: {}", word.column, sound.error().text);
  }
  std::vector<Candidate> chosen;
  const auto choose = [&](auto suits) {
    for (const Place& place : places) {
      for (const Edge& edge : commands_[place.command]->states[place.state]) {
        if (suits(edge)) chosen.push_back({&place, &edge});
      }
    }
    return !chosen.empty();
  };
  const auto is_full = [&](const Edge& edge) {
    return edge.kind == Edge::Kind::Keyword && edge.name == word.text;
  };
  const auto is_value = [&](const Edge& edge) {
    return edge.kind == Edge::Kind::Value && fits(edge, word.text);
  };
  const auto is_beginning = [&](const Edge& edge) {
    return edge.kind == Edge::Kind::Keyword && !word.text.empty() &&
           edge.name.starts_with(word.text);
  };
  if (!choose(is_full) && !choose(is_value)) {
    if (!choose(is_beginning)) return fail("{}", refusal(places, word));
    std::set<std::string_view> meant;
    for (const auto& [place, edge] : chosen) meant.insert(edge->name);
    if (meant.size() > 1) {
      return fail("column {}: '{}' is ambiguous: {}", word.column, word.text,
                  fmt::join(meant, ", "));
    }
  }
  std::vector<Place> next;
  for (const auto& [place, edge] : chosen) {
    taken.push_back({edge, &word, place->taken});
    for (const size_t state : commands_[place->command]->ways_on[edge->to]) {
      next.push_back({place->command, state, taken.size() - 1});
    }
  }
  return next;
}

// `taken` refers to the words, and the places to it.
Result<std::vector<Grammar::Place>> Grammar::follow(const std::vector<Word>& words,
                                                    std::vector<Taken>& taken) const {
  if (words.empty()) return beginning_;
  const auto known = first_words_.find(words.front().text);
  const auto& first = known == first_words_.end() ? beginning_ : known->second;
  std::vector<Place> places = TRY(step(first, words.front(), taken));
  for (size_t i = 1; i < words.size(); ++i) places = TRY(step(places, words[i], taken));
  return places;
}

Arguments Grammar::arguments_of(const Place& place, const std::vector<Taken>& taken) {
  std::vector<const Taken*> way;
  for (size_t at = place.taken; at != Taken::kNone; at = taken[at].before) {
    way.push_back(&taken[at]);
  }
  Arguments arguments;
  for (auto it = way.rbegin(); it != way.rend(); ++it) {
    const Edge& edge = *(*it)->edge;
    Arguments& into = edge.list.empty() ? arguments : arguments.element(edge.list, edge.is_first);
    if (edge.is_mute || edge.is_announcement) continue;
    into.set(edge.name, edge.kind == Edge::Kind::Value ? (*it)->word->text : edge.name);
  }
  return arguments;
}

Result<Grammar::Match> Grammar::parse(std::string_view line) const {
  const auto words = TRY(split_words(line));
  std::vector<Taken> taken;
  const std::vector<Place> places = TRY(follow(words, taken));
  for (const Place& place : places) {
    if (place.state == commands_[place.command]->last)
      return Match{place.command, arguments_of(place, taken)};
  }
  const size_t column = words.empty() ? 1 : words.back().column + words.back().text.size();
  return fail("column {}: the line ends too early; accepted: {}", column, list_of(after(places)));
}

namespace {

struct Typed {
  std::vector<Word> before;
  std::string partial;  // The word that is being typed.
};

// Error: as split_words().
Result<Typed> split_partial(std::string_view line) {
  Typed typed{TRY(split_words(line)), ""};
  if (!typed.before.empty() && line.back() != ' ' && line.back() != '\t') {
    typed.partial = std::move(typed.before.back().text);
    typed.before.pop_back();
  }
  return typed;
}

}  // namespace

std::vector<Expectation> Grammar::expect(std::string_view line) const {
  const auto typed = split_partial(line);
  if (!typed) return {};
  std::vector<Taken> taken;
  const auto places = follow(typed->before, taken);
  if (!places) return {};
  std::vector<Expectation> all = after(*places);
  std::erase_if(all, [&partial = typed->partial](const Expectation& e) {
    return !partial.empty() && (e.is_keyword ? !e.text.starts_with(partial) : e.text == "<cr>");
  });
  return all;
}

std::vector<std::string> Grammar::complete(std::string_view line) const {
  const auto typed = split_partial(line);
  if (!typed) return {};
  std::vector<Taken> taken;
  const auto places = follow(typed->before, taken);
  if (!places) return {};
  std::set<std::string> words;
  for (const Place& place : *places) {
    for (const Edge& edge : commands_[place.command]->states[place.state]) {
      if (edge.kind == Edge::Kind::Keyword) words.insert(edge.name);
      if (edge.kind != Edge::Kind::Value || !type_of(edge).candidates) continue;
      for (const std::string& known : type_of(edge).candidates()) words.insert(known);
    }
  }
  std::vector<std::string> fitting;
  for (const std::string& word : words) {
    if (word.starts_with(typed->partial)) fitting.push_back(word);
  }
  return fitting;
}

// --- JSON ---

std::string Grammar::method(size_t command) const {
  return commands_[command]->leading();
}

Result<Grammar::Match> Grammar::from_json(std::string_view method_name, const json& params) const {
  if (!params.is_object()) return fail("params: not an object");
  std::vector<std::string> methods;
  std::string problem;
  for (size_t i = 0; i < commands_.size(); ++i) {
    methods.push_back(method(i));
    if (methods.back() != method_name) continue;
    const Command& command = *commands_[i];
    auto values = command.gather(params, types_);
    if (!values) {
      problem = values.error().text;
      continue;
    }
    if (command.can_spell(*values)) return Match{i, std::move(*values)};
    problem = fmt::format("params do not make a command; its form: {}", command.syntax);
  }
  if (!problem.empty()) return fail("{}: {}", method_name, problem);
  const std::string near = nearest(method_name, methods);
  return fail("no method '{}'{}", method_name,
              near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
}

json Grammar::object_schema(const Command& command, std::string_view list, size_t first,
                            size_t last) const {
  json properties = json::object();
  std::set<std::string> names;
  for (const Edge* edge : command.words_of(list)) {
    if (edge->kind == Edge::Kind::Value) {
      properties[edge->name] = {{"type", json::array({"string", "integer"})},
                                {"description", type_of(*edge).accepts}};
      names.insert(edge->name);
    } else if (!edge->is_announcement && !properties.contains(edge->name)) {
      properties[edge->name] = {{"const", true}};
    }
  }
  json required = json::array();
  for (const std::string& name : names) {
    const bool can_lack = command.can_pass(first, last, [&](const Edge& edge) {
      return edge.kind == Edge::Kind::Value && edge.list == list && edge.name == name;
    });
    if (!can_lack) required.push_back(name);
  }
  return {{"type", "object"},
          {"properties", properties},
          {"required", required},
          {"additionalProperties", false}};
}

json Grammar::schema(size_t index) const {
  const Command& command = *commands_[index];
  json whole = object_schema(command, "", command.first, command.last);
  for (const auto& [name, ends] : command.lists) {
    whole["properties"][name] = {{"type", "array"},
                                 {"items", object_schema(command, name, ends.first, ends.second)}};
    const bool can_lack =
        command.can_pass(command.first, command.last,
                         [&list = name](const Edge& edge) { return edge.list == list; });
    if (!can_lack) whole["required"].push_back(name);
  }
  return whole;
}

}  // namespace wh::router
