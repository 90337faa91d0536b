// The automaton of one command, made from its syntax. Private to grammar.cc.
//
// States are numbers, edges are words (or free). Groups are joined by free edges, as Thompson's
// construction has it, so that an automaton has one first and one last state.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>

#include "router/grammar.h"

namespace wh::router {

struct Grammar::Edge {
  enum class Kind : uint8_t { Free, Keyword, Value } kind = Kind::Free;
  std::string name = {};  // The keyword, or the value's name.
  std::string type = {};  // Of a value.
  size_t to = 0;
  bool is_mute = false;  // A keyword that says nothing: a leading one, a comma. No argument.
  // A keyword that only says that the value of its own name follows. No argument, either.
  bool is_announcement = false;
  std::string list = {};  // Whose element it belongs to.
  bool is_first = false;  // It begins an element.
};

struct Grammar::Command {
  std::string syntax, help;
  size_t first = 0, last = 0;
  std::vector<std::vector<Edge>> states;
  std::map<std::string, std::pair<size_t, size_t>, std::less<>> lists;  // One element's ends.

  // By state: those that are reached without a word and have a word to go on with, or are the last.
  std::vector<std::vector<size_t>> ways_on;
  void find_ways_on();
  std::vector<size_t> closure(size_t from) const;  // States reached without a word, sorted.
  std::string leading() const;  // The keywords that every line of it begins with.
  size_t leading_count() const;
  std::set<size_t> leading_states() const;
  void mark_announcements();
  // The values and keywords of the line itself, or of a list's elements.
  std::vector<const Edge*> words_of(std::string_view list) const;
  // Whether there is a way between two states that has none of these words.
  bool can_pass(size_t from, size_t to, const std::function<bool(const Edge&)>& is_one) const;
  // The object's members as words, each fit for its type. Errors: a member the command does not
  // know or that is not fit; neither text, a number, a boolean nor a list's array of objects.
  Result<Arguments> gather(const nlohmann::json& params, const Types& types,
                           std::string_view list = {}) const;
  // Whether a line of it has exactly these values.
  bool can_spell(const Arguments& values) const;
};

struct Grammar::Builder {
  std::string_view syntax;
  Command& command;
  size_t at;
  using Ends = std::pair<size_t, size_t>;

  Ends alternatives();

 private:
  Ends sequence();
  Ends item();
  Ends group(char close);
  Ends list();
  Ends word();
  size_t new_state();
  void join(size_t from, size_t to);
  void skip_spaces();
};

// "1..9": a number in that range. REQUIRES: it is such a text.
ValueType range_type(std::string_view range);

}  // namespace wh::router
