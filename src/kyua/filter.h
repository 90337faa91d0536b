// Which cases to take: "program", "program:case", or a folder, which means everything below it.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace wh::kyua {

struct Filter {
  std::string program;    // A program or a folder, relative to the suite's root.
  std::string case_name;  // Empty: all of it.

  // Errors: worded as Kyua words them.
  static Result<Filter> parse(std::string_view text);
  bool may_match(std::string_view program_name) const;  // Some case of it.
  bool matches(std::string_view program_name, std::string_view case_of_it) const;
  bool contains(const Filter& other) const;
  std::string to_string() const;
  auto operator<=>(const Filter&) const = default;
};

// A set of disjoint filters that remembers which of them have matched anything.
class Filters {
 public:
  // Errors: a duplicate; two that overlap.
  static Result<Filters> parse(const std::vector<std::string>& texts);

  bool is_empty() const { return filters_.empty(); }
  bool may_match(std::string_view program_name) const;
  bool match(std::string_view program_name, std::string_view case_name);
  std::vector<Filter> unmatched() const;

 private:
  std::vector<Filter> filters_;
  std::set<Filter> matched_;
};

}  // namespace wh::kyua
