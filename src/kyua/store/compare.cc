#include <filesystem>
#include <map>
#include <set>

#include "kyua/protocol/protocol.h"
#include "kyua/store/migrate.h"

namespace wh::kyua {
namespace {

namespace fs = std::filesystem;

struct Known {
  TestResult result;
  Duration duration;
};

Result<std::map<std::string, Known>> read_all(const std::string& path) {
  auto reader = TRY(ResultsReader::open(path));
  std::map<std::string, Known> all;
  TRY(reader.each_case([&](const ReadCase& read) -> Result<void> {
    all[case_id(read.program, read.name)] = {read.result, read.duration()};
    return {};
  }));
  return all;
}

Result<size_t> merge_into(const std::vector<std::string>& inputs, const std::string& output) {
  auto first = TRY(ResultsReader::open(inputs[0]));
  auto writer = TRY(ResultsWriter::create(output, TRY(first.context())));
  std::map<std::string, std::string> origin;
  bool is_whole = true;
  for (const std::string& path : inputs) {
    auto reader = TRY(ResultsReader::open(path));
    const std::string state = reader.state();
    is_whole = is_whole && (state.empty() || state == "finished");
    TRY(reader.each_case([&](const ReadCase& read) -> Result<void> {
      const std::string id = case_id(read.program, read.name);
      const auto [at, is_new] = origin.emplace(id, path);
      // A Kyuafile may name a program twice, so only another file's is a mistake; but each shard
      // says of a program that it could not be listed.
      if (!is_new && at->second != path) {
        if (read.name == kFailedListing) return {};
        return fail("{} is in {} and in {}", id, at->second, path);
      }
      const std::string out = TRY(reader.output(read)), err = TRY(reader.errors(read));
      return writer.add(read.program, read.name, read.metadata,
                        {read.result, read.start, read.end, read.usage, out, err, read.attempts});
    }));
  }
  TRY(writer.finish(is_whole ? "finished" : "interrupted"));
  return origin.size();
}

// Twice as long or half as long, and by more than what chance makes of short cases.
bool is_another_duration(Duration a, Duration b) {
  constexpr Duration kLeast = 200ms;
  const Duration difference = a > b ? a - b : b - a;
  return difference > kLeast && difference > std::min(a, b);
}

}  // namespace

Result<size_t> merge(const std::vector<std::string>& inputs, const std::string& output) {
  std::error_code error;
  if (fs::exists(output, error) && fs::file_size(output, error) > 0) {
    return fail("{} already exists and is not empty; cannot open for write", output);
  }
  CHECK(!inputs.empty());
  std::set<std::string> files;
  for (const std::string& path : inputs) {
    if (!files.insert(fs::canonical(path, error)).second) return fail("{} is given twice", path);
  }
  auto count = merge_into(inputs, output);
  if (!count) fs::remove(output, error);
  return count;
}

Result<Difference> compare(const std::string& before, const std::string& after) {
  const auto old_cases = TRY(read_all(before)), new_cases = TRY(read_all(after));
  Difference difference;
  for (const auto& [id, now] : new_cases) {
    const auto at = old_cases.find(id);
    if (at == old_cases.end()) {
      difference.lines.push_back(fmt::format("+ {}  ->  {}", id, to_string(now.result)));
      difference.is_worse |= !now.result.is_good();
    } else if (at->second.result != now.result) {
      const bool is_worse = at->second.result.is_good() && !now.result.is_good();
      difference.is_worse |= is_worse;
      difference.lines.push_back(fmt::format("{} {}  ->  {}  (was {})", is_worse ? '!' : '~', id,
                                             to_string(now.result), to_string(at->second.result)));
    } else if (is_another_duration(now.duration, at->second.duration)) {
      difference.lines.push_back(fmt::format("~ {}  took {}  (was {})", id,
                                             to_seconds_text(now.duration),
                                             to_seconds_text(at->second.duration)));
    }
  }
  for (const auto& [id, was] : old_cases) {
    if (!new_cases.contains(id)) {
      difference.lines.push_back(fmt::format("- {}  (was {})", id, to_string(was.result)));
    }
  }
  return difference;
}

}  // namespace wh::kyua
