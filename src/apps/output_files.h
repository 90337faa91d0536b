// What commands that write several files have in common.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace wh::apps {

// A path, and the option that it was given with.
struct NamedPath {
  std::string option, path;
};

// Errors: two are the same file, of which the later one would destroy the former. Devices and pipes
// may be named twice, standard output may not. Empty paths are not there.
inline Result<void> check_distinct(const std::vector<NamedPath>& files) {
  const auto is_written_over = [](const std::string& path) {
    std::error_code ignored;
    return path == "-" || !std::filesystem::exists(path, ignored) ||
           std::filesystem::is_regular_file(path, ignored);
  };
  const auto place = [](const std::string& path) {
    std::error_code ignored;
    return path == "-"
               ? std::filesystem::path(path)
               : std::filesystem::weakly_canonical(std::filesystem::absolute(path), ignored);
  };
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].path.empty() || !is_written_over(files[i].path)) continue;
    for (size_t j = 0; j < i; ++j) {
      if (files[j].path.empty() || place(files[i].path) != place(files[j].path)) continue;
      return fail("{} and {} are the same file, {}; accepted: one file for each", files[j].option,
                  files[i].option, files[i].path);
    }
  }
  return {};
}

// Gathers what went wrong while going on with the rest.
class Failures {
 public:
  void note(const Result<void>& done) {
    if (done) return;
    if (first_) {
      *first_ = Error{first_->code, first_->text + "\n" + done.error().text};
    } else {
      first_ = done.error();
    }
  }
  Result<void> all() const {
    if (first_) return tl::unexpected(*first_);
    return {};
  }

 private:
  std::optional<Error> first_;
};

}  // namespace wh::apps
