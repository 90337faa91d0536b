#include "router/configuration.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "core/virtual_loop.h"

namespace wh::router {

using nlohmann::json;

namespace {

// A configuration may have a million lines.
using LineSet = std::unordered_set<std::string_view>;

LineSet lines_of(const ConfigurationLines& all) {
  LineSet lines;
  lines.reserve(all.size());
  for (const auto& l : all) {
    if (!l.is_stale) lines.insert(l.line);
  }
  return lines;
}

// By order, its lines that `others` have as well.
std::map<std::string_view, std::vector<std::string_view>> orders_of(const ConfigurationLines& all,
                                                                    const LineSet& others) {
  std::map<std::string_view, std::vector<std::string_view>> orders;
  for (const auto& l : all) {
    if (!l.order.empty() && others.contains(l.line)) orders[l.order].push_back(l.line);
  }
  return orders;
}

struct Side {
  const ConfigurationLines& all;
  LineSet lines = lines_of(all);
};

// Those of one side that the other lacks, or are to come again: from the first on that is not in
// its order's place.
ConfigurationLines without(const Side& one, const Side& other) {
  auto there = orders_of(other.all, one.lines);
  LineSet displaced;
  for (const auto& [order, lines] : orders_of(one.all, other.lines)) {
    const auto& others = there[order];
    const auto at = std::mismatch(lines.begin(), lines.end(), others.begin(), others.end()).first;
    displaced.insert(at, lines.end());
  }
  ConfigurationLines left;
  for (const auto& l : one.all) {
    if (!other.lines.contains(l.line) || l.is_stale || displaced.contains(l.line)) {
      left.push_back(l);
    }
  }
  return left;
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

ConfigurationDifference difference(const ConfigurationLines& from, const ConfigurationLines& to) {
  const Side was{from}, becomes{to};
  ConfigurationDifference d{without(was, becomes), without(becomes, was)};
  std::erase_if(d.to_remove, [](const ConfigurationLine& l) { return l.undo.empty(); });
  return d;
}

Result<ConfigurationLines> try_configuration(Router& like, std::string_view text,
                                             std::string_view name) {
  VirtualLoop loop;
  PaperPorts ports(loop, like.source());
  Router paper({}, loop, ports);
  paper.share_plugins(like);
  CommandLine line(paper);
  size_t number = 0;
  text = without_mark(text);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view one = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (auto done = line.set(one); !done) {
      return tl::unexpected(std::move(done.error()).within(fmt::format("{}:{}", name, number)));
    }
  }
  return line.configuration();
}

std::string find_place(Router& like, std::string_view text, std::string_view name,
                       const std::string& line) {
  text = without_mark(text);
  std::vector<size_t> ends;
  for (size_t at = 0; at < text.size(); at = ends.back() + 1) {
    ends.push_back(std::min(text.find('\n', at), text.size()));
    if (text.substr(at, ends.back() - at) == line) return fmt::format("{}:{}", name, ends.size());
  }
  // Not as it is shown, then. What a part of the text brings, a longer one brings as well.
  const auto lacks = [&](size_t end) {
    const auto made = try_configuration(like, text.substr(0, end), name);
    return !made || std::none_of(made->begin(), made->end(),
                                 [&](const ConfigurationLine& l) { return l.line == line; });
  };
  const auto at = std::partition_point(ends.begin(), ends.end(), lacks);
  return at == ends.end() ? "" : fmt::format("{}:{}", name, at - ends.begin() + 1);
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

// One round after the other, as long as they change anything. What cannot be changed while other
// lines stand (an interface's table, while it has addresses) is reached by taking back all that
// comes after the first difference. The error is the first of the last round; `culprit` the line
// that made it. `now` is what is set.
Result<void> converge(CommandLine& line, ConfigurationLines now, const ConfigurationLines& target,
                      std::string& culprit) {
  constexpr int kMostRounds = 8;
  bool is_thorough = false;
  for (int round = 0; round < kMostRounds; ++round) {
    const auto d = difference(now, target);
    if (d.is_empty()) return {};
    culprit.clear();
    Result<void> problem;
    auto run = [&](const std::string& text) {
      auto done = line.set(text);
      if (!done && problem) {
        problem = tl::unexpected(std::move(done.error()).within(fmt::format("'{}'", text)));
        culprit = text;
      }
    };
    const auto to_remove = is_thorough ? after_common(now, target) : d.to_remove;
    for (auto l = to_remove.rbegin(); l != to_remove.rend(); ++l) {
      if (!l->undo.empty()) run(l->undo);
    }
    // Taking back may have taken others along.
    const auto to_add =
        to_remove.empty() ? d.to_add : difference(line.configuration(), target).to_add;
    for (const auto& l : to_add) run(l.line);
    now = line.configuration();
    const auto left = difference(now, target);
    if (left.is_empty()) return {};
    if (!(left == d)) continue;
    if (!is_thorough) {
      is_thorough = true;
      continue;
    }
    if (!problem) return problem;
    return fail("cannot be reached; left over:\n{}", format(left));
  }
  return fail("cannot be reached in {} rounds", kMostRounds);
}

}  // namespace

Result<void> apply_configuration(CommandLine& line, const ConfigurationLines& target,
                                 const PlaceOf& place) {
  ConfigurationLines before = line.configuration();
  std::string culprit, other;
  auto reached = converge(line, before, target, culprit);
  if (reached) return {};
  for (ConfigurationLine& l : before) l.is_stale = false;  // As it should be, then.
  auto back = converge(line, line.configuration(), before, other);
  const std::string where = place && !culprit.empty() ? place(culprit) : "";
  if (!where.empty()) reached = tl::unexpected(std::move(reached.error()).within(where));
  if (!back) {
    return fail("{}; and the former configuration could not be restored: {}", reached.error().text,
                back.error().text);
  }
  return tl::unexpected(
      std::move(reached.error()).within("not applied, the former configuration stands"));
}

}  // namespace wh::router
