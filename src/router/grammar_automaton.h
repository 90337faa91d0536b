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
  bool is_leading = false;  // A keyword that every line of the command begins with: no argument.
};

struct Grammar::Command {
  std::string syntax, help;
  size_t first = 0, last = 0;
  std::vector<std::vector<Edge>> states;

  std::vector<size_t> closure(size_t from) const;  // States reached without a word, sorted.
  std::string leading() const;  // The keywords that every line of it begins with.
  size_t leading_count() const;
  std::set<size_t> leading_states() const;
  // Whether a keyword's only purpose is to say that the value of its own name follows.
  bool announces(const Edge& keyword) const;
  bool can_end_without(const std::string& value) const;
  // The object's members as words. Errors: a member the command does not know, or neither text, a
  // number nor a boolean.
  Result<void> gather(const nlohmann::json& params,
                      std::map<std::string, std::string>& values) const;
  Result<void> check(const std::map<std::string, std::string>& values, const Types& types) const;
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
  Ends word();
  size_t new_state();
  void join(size_t from, size_t to);
  void skip_spaces();
};

// "1..9": a number in that range. REQUIRES: it is such a text.
ValueType range_type(std::string_view range);

}  // namespace wh::router
