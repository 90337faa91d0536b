// The grammar of commands: one line of text per command, from which everything else follows.
//
//   set interface state <interface> (up|down)
//   ping <address> [source <source:interface> | repeat <repeat:1..1000000> | size <size:0..65507>]*
//   ip route add <prefix> {paths: via <via:address> [weight <weight:1..255>]}
//
// Lower-case words are keywords; <name:type> is a value ("<name>" has the type of its name,
// "<n:1..9>" is a number in a range); [ ] may be left out, ( | ) is a choice, * after a group
// repeats it. { } with a name is a list: one element or more, each with values of its own; after
// `name,` a comma parts them. Its elements begin with a word that cannot be left out. Each line
// becomes a small automaton. All commands are followed at once, so the places where any of them
// stands tell everything: what a word abbreviates, what could come next (`?`, completion), which
// word was wrong and what would have been accepted, and how a JSON object with named values spells
// a line.
//
// A word is taken as the first of these that fits: a keyword in full; a value; the beginning of
// exactly one keyword. Values are checked by their type before any command runs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace wh::router {

// A word of a line, and where it begins (columns count from 1).
struct Word {
  std::string text;
  size_t column = 1;
};
// Words part at spaces; "a b" is one; a comma at a word's end is another; # begins a comment.
// Error: a quote that is not closed.
Result<std::vector<Word>> split_words(std::string_view line);
bool is_blank(std::string_view line);  // No word in it.
// Error: it has a quote or a control character, which no line could give back.
Result<void> check_word(std::string_view word);
// The word as split_words() would read it back.
std::string quote_word(std::string_view word);

// What a value must look like, and what could stand there.
struct ValueType {
  std::string accepts;  // For errors and help: "an IPv4 or IPv6 address".
  std::function<Result<void>(std::string_view)> check;
  std::function<std::vector<std::string>()> candidates = {};  // Known ones, for completion.
  // As check(), without a reason, where that is much quicker.
  std::function<bool(std::string_view)> fits = {};
};

// The values and keywords of a line that was understood.
class Arguments {
 public:
  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }
  // A value that was given. REQUIRES: has(name).
  const std::string& operator[](std::string_view name) const;
  std::string get(std::string_view name, std::string_view otherwise) const;
  // A number that was given, or another. REQUIRES: its type is a number's.
  uint64_t number(std::string_view name, uint64_t otherwise = 0) const;
  // The elements of a list, as they were given.
  const std::vector<Arguments>& list(std::string_view name) const;

  void set(std::string name, std::string value) { values_[std::move(name)] = std::move(value); }
  // The element of a list that is being given: the last, or a new one.
  Arguments& element(std::string_view list, bool is_new);
  size_t count() const { return values_.size() + lists_.size(); }  // A list is one.

 private:
  std::map<std::string, std::string, std::less<>> values_;  // A keyword's value is itself.
  std::map<std::string, std::vector<Arguments>, std::less<>> lists_;
};

// Something that may come next.
struct Expectation {
  std::string text;  // The keyword, or "<name>".
  std::string help;  // What a value must be; what the command is for.
  bool is_keyword = true;
};

class Grammar {
 public:
  Grammar();
  ~Grammar();
  // REQUIRES: no type has this name yet.
  void add_type(std::string name, ValueType type);
  // The number of the command. REQUIRES: the syntax is well formed and its types are known.
  size_t add(std::string_view syntax, std::string_view help);

  struct Match {
    size_t command = 0;
    Arguments arguments;
  };
  // Error: the word that was wrong, its column, and what could stand there.
  Result<Match> parse(std::string_view line) const;
  // What could come after these words; the last of them, `partial`, may be incomplete or empty.
  std::vector<Expectation> expect(std::string_view line) const;
  // The full words that `partial` (the last word of the line) could be.
  std::vector<std::string> complete(std::string_view line) const;
  // The command whose leading keywords are `method`, with values by name; a keyword that is chosen
  // has the value true, a list is an array of objects. Errors: no such method, a value that is
  // missing, unknown or not accepted.
  Result<Match> from_json(std::string_view method, const nlohmann::json& params) const;

  size_t size() const { return commands_.size(); }
  const std::string& syntax(size_t command) const;
  const std::string& help(size_t command) const;
  std::string method(size_t command) const;     // Its leading keywords.
  nlohmann::json schema(size_t command) const;  // JSON Schema of its params.

 private:
  struct Command;
  struct Edge;
  struct Taken;    // A word that led to a place.
  struct Place;    // Where one command stands, and how it came there.
  struct Builder;  // Syntax to automaton.
  struct Speller;  // JSON object to path.
  using Types = std::map<std::string, ValueType, std::less<>>;

  Result<std::vector<Place>> step(const std::vector<Place>& places, const Word& word,
                                  std::vector<Taken>& taken) const;
  std::string refusal(const std::vector<Place>& places, const Word& word) const;
  Result<std::vector<Place>> follow(const std::vector<Word>& words,
                                    std::vector<Taken>& taken) const;
  static Arguments arguments_of(const Place& place, const std::vector<Taken>& taken);
  std::string help_of(const std::string& keyword, const std::vector<Place>& places) const;
  std::vector<Expectation> after(const std::vector<Place>& places) const;
  const ValueType& type_of(const Edge& edge) const;
  bool fits(const Edge& edge, const std::string& word) const;
  nlohmann::json object_schema(const Command& command, std::string_view list, size_t first,
                               size_t last) const;

  std::vector<std::unique_ptr<Command>> commands_;
  Types types_;
  std::vector<Place> beginning_;  // Of all commands.
  // Those of them that a keyword in full goes on from: most lines have one first.
  std::map<std::string, std::vector<Place>, std::less<>> first_words_;
};

}  // namespace wh::router
