#include "router/configuration.h"

#include <algorithm>
#include <bit>
#include <map>

#include "core/virtual_loop.h"

namespace wh::router {

using nlohmann::json;

namespace {

// In a step: a quarter of a millisecond's work or so.
constexpr size_t kLinesRun = 64;       // Lines that are understood and done,
constexpr size_t kLinesSeen = 1024;    // that are looked at,
constexpr size_t kLinesDropped = 512;  // that go.

// Lines that are looked for; they must outlive it. Its memory comes and goes in blocks, each a
// step, since a configuration may have a million lines. REQUIRES: it has grown before it is used.
class LineSet {
 public:
  explicit LineSet(size_t most) : mask_(std::bit_ceil(2 * most + 1) - 1) {
    blocks_.reserve(mask_ / kBlock + 1);
  }
  // Takes a block more. False when it has all.
  bool grow() {
    blocks_.emplace_back(std::min(mask_ + 1, kBlock));
    return blocks_.size() * kBlock <= mask_;
  }
  // Gives one back. False when it has none left.
  bool shrink() {
    blocks_.pop_back();
    return !blocks_.empty();
  }
  void insert(const std::string& line) {
    const size_t at = place(line);
    blocks_[at / kBlock][at % kBlock] = &line;
  }
  bool contains(const std::string& line) const { return slot(place(line)) != nullptr; }

 private:
  static constexpr size_t kBlock = 32'768;

  const std::string* slot(size_t at) const { return blocks_[at / kBlock][at % kBlock]; }
  // Where it is, or would be.
  size_t place(const std::string& line) const {
    size_t at = std::hash<std::string>()(line) & mask_;
    while (slot(at) != nullptr && *slot(at) != line) at = (at + 1) & mask_;
    return at;
  }
  size_t mask_;  // Of places, of which at most half are filled.
  std::vector<std::vector<const std::string*>> blocks_;
};

struct Side {
  explicit Side(const ConfigurationLines& lines) : all(lines), set(lines.size()) {}
  const ConfigurationLines& all;
  LineSet set;
  std::vector<const ConfigurationLine*> ordered;  // Those whose order matters.
};

Steps index(Side& side) {
  while (side.set.grow()) co_yield Pause{};
  size_t seen = 0;
  for (const ConfigurationLine& l : side.all) {
    if (!l.is_stale) side.set.insert(l.line);
    if (!l.order.empty()) side.ordered.push_back(&l);
    if (++seen % kLinesSeen == 0) co_yield Pause{};
  }
}

// By order, a side's lines that the other has as well.
std::map<std::string_view, std::vector<const std::string*>> orders_of(const Side& side,
                                                                      const LineSet& others) {
  std::map<std::string_view, std::vector<const std::string*>> orders;
  for (const ConfigurationLine* l : side.ordered) {
    if (others.contains(l->line)) orders[l->order].push_back(&l->line);
  }
  return orders;
}

// Those of one side that the other lacks, or are to come again: from the first on that is not in
// its order's place. Those that are to go and cannot be taken back stay.
Steps find_missing(const Side& one, const Side& other, ConfigurationLines& left,
                   bool is_to_go = false) {
  auto there = orders_of(other, one.set);
  LineSet displaced(one.ordered.size());
  while (displaced.grow()) co_yield Pause{};
  for (const auto& [order, lines] : orders_of(one, other.set)) {
    const auto& others = there[order];
    auto at = std::mismatch(lines.begin(), lines.end(), others.begin(), others.end(),
                            [](auto* a, auto* b) { return *a == *b; })
                  .first;
    for (; at != lines.end(); ++at) displaced.insert(**at);
  }
  size_t seen = 0;
  for (const auto& l : one.all) {
    const bool is_missing = !other.set.contains(l.line) || l.is_stale || displaced.contains(l.line);
    if (is_missing && !(is_to_go && l.undo.empty())) left.push_back(l);
    if (++seen % kLinesSeen == 0) co_yield Pause{};
  }
}

json texts(const ConfigurationLines& lines) {
  json all = json::array();
  for (const auto& l : lines) all.push_back(l.line);
  return all;
}

}  // namespace

std::string to_text(const ConfigurationLines& lines) {
  std::string text;
  for (const auto& l : lines) text += l.line + "\n";
  return text;
}

std::string format(const ConfigurationDifference& d) {
  std::string text;
  for (const auto& l : d.to_remove) text += fmt::format("- {}\n", l.line);
  for (const auto& l : d.to_add) text += fmt::format("+ {}\n", l.line);
  return text.empty() ? "no difference\n" : text;
}

json to_json(const ConfigurationDifference& d) {
  return {{"remove", texts(d.to_remove)}, {"add", texts(d.to_add)}};
}

namespace {

// What the public ones are made of. (A coroutine seen elsewhere may not hold what is only ours.)
Steps compare_sides(const ConfigurationLines& from, const ConfigurationLines& to,
                    ConfigurationDifference& difference) {
  Side was(from), becomes(to);
  WH_DO(index(was));
  WH_DO(index(becomes));
  WH_DO(find_missing(was, becomes, difference.to_remove, true));
  WH_DO(find_missing(becomes, was, difference.to_add));
  for (LineSet* set : {&was.set, &becomes.set}) {
    while (set->shrink()) co_yield Pause{};
  }
}

}  // namespace

Steps compare(const ConfigurationLines& from, const ConfigurationLines& to,
              ConfigurationDifference& difference) {
  return compare_sides(from, to, difference);
}

ConfigurationDifference difference(const ConfigurationLines& from, const ConfigurationLines& to) {
  ConfigurationDifference d;
  compare(from, to, d).finish();
  return d;
}

Steps list_configuration(const CommandLine& line, ConfigurationLines& lines) {
  const ConfigurationWalk walk = line.walk_configuration();
  while (walk(lines)) co_yield Pause{};
}

Steps drop(ConfigurationLines& lines) {
  while (!lines.empty()) {
    for (size_t i = 0; i < kLinesDropped && !lines.empty(); ++i) lines.pop_back();
    co_yield Pause{};
  }
}

namespace {

// A router that a configuration is tried on.
struct Paper {
  explicit Paper(Router& like) : ports(loop, like.source()), router({}, loop, ports), line(router) {
    router.share_plugins(like);
  }
  VirtualLoop loop;
  PaperPorts ports;
  Router router;
  CommandLine line;
};

Steps try_on_paper(Router& like, std::string_view text, std::string_view name,
                   Result<ConfigurationLines>& result) {
  const auto paper = std::make_unique<Paper>(like);
  co_yield Pause{};
  size_t number = 0;
  text = without_mark(text);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view one = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (auto done = paper->line.set(one); !done) {
      result = tl::unexpected(std::move(done.error()).within(fmt::format("{}:{}", name, number)));
      co_return;
    }
    if (number % kLinesRun == 0) co_yield Pause{};
  }
  result = ConfigurationLines();
  WH_DO(list_configuration(paper->line, *result));
}

}  // namespace

Steps try_configuration(Router& like, std::string_view text, std::string_view name,
                        Result<ConfigurationLines>& result) {
  return try_on_paper(like, text, name, result);
}

Result<ConfigurationLines> try_configuration(Router& like, std::string_view text,
                                             std::string_view name) {
  Result<ConfigurationLines> result;
  try_configuration(like, text, name, result).finish();
  return result;
}

namespace {

Steps find_line(Router& like, std::string_view text, std::string_view name, const std::string& line,
                std::string& place) {
  text = without_mark(text);
  std::vector<size_t> ends;
  for (size_t at = 0; at < text.size(); at = ends.back() + 1) {
    ends.push_back(std::min(text.find('\n', at), text.size()));
    if (text.substr(at, ends.back() - at) == line) {
      place = fmt::format("{}:{}", name, ends.size());
      co_return;
    }
    if (ends.size() % kLinesSeen == 0) co_yield Pause{};
  }
  // Not as it is shown, then. What a part of the text brings, a longer one brings as well: the
  // first that does is looked for by halves.
  size_t lacking = 0, most = ends.size();
  while (lacking < most) {
    const size_t half = (lacking + most) / 2;
    Result<ConfigurationLines> made;
    WH_DO(try_on_paper(like, text.substr(0, ends[half]), name, made));
    const bool brings = made && std::any_of(made->begin(), made->end(),
                                            [&](const auto& l) { return l.line == line; });
    if (made) WH_DO(drop(*made));
    (brings ? most : lacking) = brings ? half : half + 1;
  }
  if (most < ends.size()) place = fmt::format("{}:{}", name, most + 1);
}

}  // namespace

Steps find_place(Router& like, std::string_view text, std::string_view name,
                 const std::string& line, std::string& place) {
  return find_line(like, text, name, line, place);
}

std::string_view without_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";  // U+FEFF in UTF-8.
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

namespace {

// The lines from the first on that the other list does not have in that place.
ConfigurationLines after_common(const ConfigurationLines& lines, const ConfigurationLines& other) {
  const auto [at, there] = std::mismatch(lines.begin(), lines.end(), other.begin(), other.end());
  return {at, lines.end()};
}

// Lines that are set or taken back, and the first that could not be.
struct Attempt {
  CommandLine& line;
  Result<void> problem = {};
  std::string culprit = {};

  void run(const std::string& text) {
    auto done = line.set(text);
    if (done || !problem) return;
    problem = tl::unexpected(std::move(done.error()).within(fmt::format("'{}'", text)));
    culprit = text;
  }
};

// But for filters, which stay until others are set. Ways go while interfaces are up, so that what
// is said at their end (a connection's reset, a lease given back) is heard.
Steps take_back(Attempt& attempt, const ConfigurationLines& lines) {
  for (const LoadStage stage : {LoadStage::Way, LoadStage::Up, LoadStage::Base}) {
    size_t seen = 0, done = 0;
    for (auto l = lines.rbegin(); l != lines.rend(); ++l) {
      const bool is_due = l->stage == stage && !l->undo.empty();
      if (is_due) attempt.run(l->undo);
      if (++seen % kLinesSeen == 0 || (is_due && ++done % kLinesRun == 0)) co_yield Pause{};
    }
  }
}

using Some = std::vector<const ConfigurationLine*>;

Steps pick(const ConfigurationLines& lines, LoadStage stage, Some& picked) {
  size_t seen = 0;
  for (const ConfigurationLine& l : lines) {
    if (l.stage == stage) picked.push_back(&l);
    if (++seen % kLinesSeen == 0) co_yield Pause{};
  }
}

// All that there is of filters in one step, here and in each worker.
void change_filters(Attempt& attempt, const Some& old, const Some& coming) {
  attempt.line.begin_together();
  for (auto l = old.rbegin(); l != old.rend(); ++l) attempt.run((*l)->undo);
  for (const ConfigurationLine* l : coming) attempt.run(l->line);
  auto told = attempt.line.end_together();
  if (!told && attempt.problem) attempt.problem = std::move(told);
}

Steps set_stage(Attempt& attempt, const ConfigurationLines& lines, LoadStage stage) {
  size_t seen = 0, done = 0;
  for (const ConfigurationLine& l : lines) {
    const bool is_due = l.stage == stage;
    if (is_due) attempt.run(l.line);
    if (++seen % kLinesSeen == 0 || (is_due && ++done % kLinesRun == 0)) co_yield Pause{};
  }
}

Steps set_all(Attempt& attempt, const ConfigurationDifference& d) {
  Some old, coming;
  WH_DO(pick(d.to_remove, LoadStage::Filter, old));
  WH_DO(pick(d.to_add, LoadStage::Filter, coming));
  WH_DO(set_stage(attempt, d.to_add, LoadStage::Base));
  change_filters(attempt, old, coming);
  WH_DO(set_stage(attempt, d.to_add, LoadStage::Way));
  WH_DO(set_stage(attempt, d.to_add, LoadStage::Up));
}

// What a way to a configuration comes to. `culprit` is the line that made the error.
struct Outcome {
  Result<void> result = {};
  std::string culprit = {};
};

// From what differs at first on, one round after the other, as long as they change anything.
// However many lines there are, no packet passes that filters would not let: those that go stay
// until those that come are there (LoadStage). Taking back may take others along, which the next
// round sets again. What cannot be changed while other lines stand (an interface's table, while it
// has addresses) is reached by taking back all that comes after the first difference, but filters.
// The error is the first of the last round.
Steps converge(CommandLine& line, const ConfigurationDifference& first,
               const ConfigurationLines& target, Outcome& outcome) {
  constexpr int kMostRounds = 8;
  const ConfigurationDifference* d = &first;
  ConfigurationDifference last;  // Found at the end of the round before.
  ConfigurationLines now;
  bool is_thorough = false;
  for (int round = 0; round < kMostRounds && !d->is_empty(); ++round) {
    Attempt attempt{line};
    const ConfigurationLines rest = is_thorough ? after_common(now, target) : ConfigurationLines();
    const ConfigurationLines& to_remove = is_thorough ? rest : d->to_remove;
    WH_DO(take_back(attempt, to_remove));
    ConfigurationDifference missing;
    if (is_thorough) {
      WH_DO(drop(now));
      WH_DO(list_configuration(line, now));
      WH_DO(compare(now, target, missing));
    }
    WH_DO(set_all(attempt, is_thorough ? missing : *d));
    ConfigurationDifference left;
    WH_DO(drop(now));
    WH_DO(list_configuration(line, now));
    WH_DO(compare(now, target, left));
    outcome = {attempt.problem, attempt.culprit};
    if (left == *d) {
      if (is_thorough) {
        if (outcome.result)
          outcome.result = fail("cannot be reached; left over:\n{}", format(left));
        co_return;
      }
      is_thorough = true;
    }
    WH_DO(drop(missing.to_remove));
    WH_DO(drop(missing.to_add));
    WH_DO(drop(last.to_add));
    WH_DO(drop(last.to_remove));
    last = std::move(left);
    d = &last;
  }
  WH_DO(drop(now));
  outcome = {};
  if (!d->is_empty()) outcome.result = fail("cannot be reached in {} rounds", kMostRounds);
}

Steps become(CommandLine& line, const ConfigurationLines& target, const PlaceOf place,
             ConfigurationDifference& changes, Result<void>& result) {
  ConfigurationLines before;
  WH_DO(list_configuration(line, before));
  WH_DO(compare(before, target, changes));
  Outcome there;
  WH_DO(converge(line, changes, target, there));
  if (there.result) {
    WH_DO(drop(before));
    result = {};
    co_return;
  }
  for (ConfigurationLine& l : before) l.is_stale = false;  // As it should be, then.
  ConfigurationLines now;
  ConfigurationDifference away;
  Outcome back;
  WH_DO(list_configuration(line, now));
  WH_DO(compare(now, before, away));
  WH_DO(converge(line, away, before, back));
  std::string where;
  if (place && !there.culprit.empty()) WH_DO(place(there.culprit, where));
  Error error = std::move(there.result.error());
  if (!where.empty()) error = std::move(error).within(where);
  if (!back.result) {
    result = fail("{}; and the former configuration could not be restored: {}", error.text,
                  back.result.error().text);
    co_return;
  }
  result = tl::unexpected(std::move(error).within("not applied, the former configuration stands"));
}

}  // namespace

Steps apply_configuration(CommandLine& line, const ConfigurationLines& target, PlaceOf place,
                          ConfigurationDifference& changes, Result<void>& result) {
  return become(line, target, std::move(place), changes, result);
}

Result<ConfigurationDifference> apply_configuration(CommandLine& line,
                                                    const ConfigurationLines& target,
                                                    PlaceOf place) {
  ConfigurationDifference changes;
  Result<void> result;
  apply_configuration(line, target, std::move(place), changes, result).finish();
  TRY(std::move(result));
  return changes;
}

}  // namespace wh::router
