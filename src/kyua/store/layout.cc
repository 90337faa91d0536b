#include "kyua/store/layout.h"

#include <algorithm>
#include <filesystem>

namespace wh::kyua {
namespace {

namespace fs = std::filesystem;

// A suite's newest file is the one of the greatest name.
Result<std::string> newest_of(const Layout& layout, const std::string& suite) {
  const std::string prefix = fmt::format("results.{}.", suite);
  constexpr size_t kStampLength = 22;  // 20261121-231913-829292
  std::string best;
  std::error_code error;
  for (fs::directory_iterator it(layout.store, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    // The name of a suite may begin with another's.
    const bool is_of_suite = name.starts_with(prefix) && name.ends_with(".db") &&
                             name.size() == prefix.size() + kStampLength + 3;
    if (is_of_suite && name > best) best = name;
  }
  if (best.empty()) return fail("No previous results file found for test suite {}", suite);
  return join_path(layout.store, best);
}

}  // namespace

std::string suite_id(std::string_view root) {
  if (root.starts_with('/')) root.remove_prefix(1);
  std::string id(root);
  std::replace(id.begin(), id.end(), '/', '_');
  return id;
}

Result<NewResultsFile> new_results_file(const Layout& layout, const std::string& given,
                                        const std::string& suite_root, WallTime now) {
  std::error_code error;
  if (given != "NEW") {
    if (fs::exists(given, error) && fs::file_size(given, error) > 0) {
      return fail("{} already exists and is not empty; cannot open for write", given);
    }
    fs::create_directories(branch_path(given), error);
    if (error) return fail("Cannot make the folder {}: {}", branch_path(given), error.message());
    return NewResultsFile{"", given};
  }
  fs::create_directories(layout.store, error);
  if (error) return fail("Cannot make the folder {}: {}", layout.store, error.message());
  // Two runs that begin within one microsecond must not share a file.
  for (;; ++now.us) {
    const std::string id = fmt::format("{}.{}", suite_id(suite_root), to_compact(now));
    const std::string path = join_path(layout.store, fmt::format("results.{}.db", id));
    if (!fs::exists(path, error)) return NewResultsFile{id, path};
  }
}

Result<std::string> find_results_file(const Layout& layout, const std::string& given) {
  std::error_code error;
  if (given == "LATEST") return newest_of(layout, suite_id(layout.cwd));
  if (fs::is_regular_file(given, error)) return absolute_path(given, layout.cwd);
  if (given.find('/') == given.npos) {
    const std::string path = join_path(layout.store, fmt::format("results.{}.db", given));
    if (fs::exists(path, error)) return path;
    return newest_of(layout, given);
  }
  return newest_of(layout, suite_id(absolute_path(given, layout.cwd)));
}

}  // namespace wh::kyua
