#include "kyua/scanner.h"

#include <algorithm>

#include "kyua/protocol/protocol.h"

namespace wh::kyua {

Result<Shard> Shard::parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto index = parse_int(text.substr(0, slash));
  const auto count = slash == text.npos ? Result<int64_t>(0) : parse_int(text.substr(slash + 1));
  if (!index || !count || *index < 1 || *index > *count) {
    return fail("Invalid shard '{}'; expected I/N with 1 <= I <= N, such as 2/5", text);
  }
  return Shard{static_cast<size_t>(*index - 1), static_cast<size_t>(*count)};
}

Scanner::Scanner(std::vector<TestProgram> programs, Filters filters, Options options)
    : programs_(std::move(programs)), filters_(std::move(filters)), options_(std::move(options)) {
  for (const TestProgram& program : programs_) {
    places_.try_emplace(program.relative_path, places_.size());
  }
}

std::optional<Work> Scanner::next() {
  const bool lists_first = !options_.last_durations.empty();
  while (next_program_ < programs_.size() && (ready_.empty() || lists_first)) {
    const TestProgram& program = programs_[next_program_++];
    if (!filters_.may_match(program.relative_path)) continue;
    const Protocol& protocol = protocol_of(program.interface);
    ++listing_;
    if (protocol.list_command(program, {})) return Work{&program, nullptr};
    add_listing(program, protocol.parse_listing(program, {}, "", ""));
  }
  if (ready_.empty() || (lists_first && !is_complete())) return std::nullopt;
  const Work work = ready_.front();
  ready_.pop_front();
  return work;
}

std::optional<Work> Scanner::next_exclusive() {
  if (exclusive_.empty()) return std::nullopt;
  const Work work = exclusive_.front();
  exclusive_.pop_front();
  return work;
}

void Scanner::add_listing(const TestProgram& program, std::vector<TestCase> cases) {
  CHECK_GT(listing_, 0u);
  --listing_;
  // By where a case stands, not by when it came: listings end in any order, and differently in
  // each of the runs that share a suite.
  size_t place = places_.at(program.relative_path);
  for (TestCase& test_case : cases) {
    const bool is_of_shard = place++ % options_.shard.count == options_.shard.index;
    // A listing that failed stands for whichever of the program's cases were meant.
    const bool is_fake = test_case.known_result.has_value();
    const bool is_meant = filters_.match(program.relative_path, test_case.name);
    if (is_fake ? !is_asked_for(program) : !is_meant || !is_of_shard) continue;
    if (!is_fake && options_.only && !options_.only->contains(case_id(program, test_case.name))) {
      continue;
    }
    ++known_;
    cases_.push_back(std::make_unique<TestCase>(std::move(test_case)));
    const Metadata metadata = program.metadata.under(cases_.back()->metadata);
    auto& queue = metadata.flag("is_exclusive") ? exclusive_ : ready_;
    queue.push_back({&program, cases_.back().get()});
    all_.push_back(queue.back());
  }
  if (!options_.last_durations.empty() && is_complete()) sort_by_duration();
}

// Is any case of it among those to be run again, if only some are?
bool Scanner::is_asked_for(const TestProgram& program) const {
  if (!options_.only) return true;
  const std::string prefix = case_id(program, "");
  const auto at = options_.only->lower_bound(prefix);
  return at != options_.only->end() && at->starts_with(prefix);
}

std::vector<Work> Scanner::all() const {
  std::vector<Work> sorted = all_;
  // Programs stand in one array, so their addresses are in their order.
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Work& a, const Work& b) { return a.program < b.program; });
  return sorted;
}

void Scanner::sort_by_duration() {
  const auto duration = [this](const Work& work) {
    const auto at = options_.last_durations.find(case_id(*work.program, work.test_case->name));
    return at == options_.last_durations.end() ? Duration::max() : at->second;
  };
  std::stable_sort(ready_.begin(), ready_.end(),
                   [&](const Work& a, const Work& b) { return duration(a) > duration(b); });
}

}  // namespace wh::kyua
