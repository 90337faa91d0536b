// Which case comes next: programs in the Kyuafile's order, cases in their program's, exclusive ones
// last.
//
// The scanner holds the suite and the filters; the engine asks for work and hands listings back. A
// program is listed only when its turn comes and a filter may match it. With a plan of durations
// (from the last results) everything is listed first, and the slowest cases start first.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kyua/filter.h"
#include "kyua/kyuafile.h"

namespace wh::kyua {

// A part of a suite, the same in every run. A program that cannot be listed is in all of them.
struct Shard {
  size_t index = 0, count = 1;  // index < count
  // "2/5" is index 1 of 5. Errors: not of that form.
  static Result<Shard> parse(std::string_view text);
};

// A case to run. Programs and cases live as long as the scanner.
struct Work {
  const TestProgram* program = nullptr;
  const TestCase* test_case = nullptr;  // Nullptr: list the program.
};

class Scanner {
 public:
  struct Options {
    Shard shard;
    // Only these ids, if any are given: a re-run of what failed.
    std::optional<std::set<std::string>> only;
    // By id; cases that are not in it come first, for who knows how long they take.
    std::map<std::string, Duration> last_durations;
  };
  Scanner(std::vector<TestProgram> programs, Filters filters, Options options);

  // Nothing: there is none now. There may be some when a listing under way has been added.
  std::optional<Work> next();
  // Cases that must run alone, once all other work is done.
  std::optional<Work> next_exclusive();
  void add_listing(const TestProgram& program, std::vector<TestCase> cases);

  // Cases known so far that are to run; all of them when is_complete().
  size_t known() const { return known_; }
  bool is_complete() const { return next_program_ == programs_.size() && listing_ == 0; }
  const Filters& filters() const { return filters_; }
  const std::vector<TestProgram>& programs() const { return programs_; }
  // Every case added so far, in the order of the programs.
  std::vector<Work> all() const;

 private:
  bool is_asked_for(const TestProgram& program) const;
  void sort_by_duration();

  std::vector<TestProgram> programs_;
  std::map<std::string, size_t> places_;  // By name: one that is registered twice has one.
  Filters filters_;
  Options options_;
  size_t next_program_ = 0, listing_ = 0, known_ = 0;
  std::deque<std::unique_ptr<TestCase>> cases_;
  std::vector<Work> all_;
  std::deque<Work> ready_, exclusive_;
};

}  // namespace wh::kyua
