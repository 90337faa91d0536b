#include "kyua/filter.h"

#include <algorithm>

#include "kyua/text.h"

namespace wh::kyua {
namespace {

bool is_below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

}  // namespace

Result<Filter> Filter::parse(std::string_view text) {
  if (text.empty()) return fail("Test filter cannot be empty");
  const size_t colon = text.find(':');
  const std::string_view program = text.substr(0, colon);
  if (program.empty()) return fail("Program name component in '{}' is empty", text);
  if (colon != text.npos && colon + 1 == text.size()) {
    return fail("Test case component in '{}' is empty", text);
  }
  if (program.starts_with('/')) {
    return fail("Program name '{}' must be relative to the test suite, not absolute", program);
  }
  // "./a//b/" is "a/b".
  const std::string plain = absolute_path(program, "/").substr(1);
  return Filter{plain, colon == text.npos ? "" : std::string(text.substr(colon + 1))};
}

bool Filter::may_match(std::string_view program_name) const {
  return program_name == program || (case_name.empty() && is_below(program_name, program)) ||
         program.empty();
}

bool Filter::matches(std::string_view program_name, std::string_view case_of_it) const {
  return may_match(program_name) && (case_name.empty() || case_name == case_of_it);
}

bool Filter::contains(const Filter& other) const {
  if (!case_name.empty()) return *this == other;
  return program == other.program || is_below(other.program, program);
}

std::string Filter::to_string() const {
  return case_name.empty() ? program : fmt::format("{}:{}", program, case_name);
}

Result<Filters> Filters::parse(const std::vector<std::string>& texts) {
  Filters all;
  for (const std::string& text : texts) {
    Filter filter = TRY(Filter::parse(text));
    for (const Filter& other : all.filters_) {
      if (other == filter) return fail("Duplicate filter '{}'", filter.to_string());
      if (other.contains(filter) || filter.contains(other)) {
        return fail("Filters '{}' and '{}' are not disjoint", other.to_string(),
                    filter.to_string());
      }
    }
    all.filters_.push_back(std::move(filter));
  }
  return all;
}

bool Filters::may_match(std::string_view program_name) const {
  return filters_.empty() || std::any_of(filters_.begin(), filters_.end(), [&](const Filter& f) {
           return f.may_match(program_name);
         });
}

bool Filters::match(std::string_view program_name, std::string_view case_name) {
  if (filters_.empty()) return true;
  for (const Filter& filter : filters_) {
    if (!filter.matches(program_name, case_name)) continue;
    matched_.insert(filter);
    return true;
  }
  return false;
}

std::vector<Filter> Filters::unmatched() const {
  std::vector<Filter> left;
  for (const Filter& filter : filters_) {
    if (!matched_.contains(filter)) left.push_back(filter);
  }
  return left;
}

}  // namespace wh::kyua
