// A file into which a job's results go: whole, or not at all.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "host/fd.h"

namespace wh::host {

// A file that is written at the end of a job but whose path is checked at its beginning. A regular
// file is replaced at once by finish() (written beside it, then renamed), so that an interrupted or
// failed job leaves what was there before; a device, a pipe or standard output ("-") is written
// directly.
class OutputFile {
 public:
  static Result<OutputFile> create(const std::string& path);
  ~OutputFile();
  OutputFile(OutputFile&& o) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  // Errors: a full disk and the like, naming the path; nothing is left behind then.
  Result<void> finish(std::string_view text);

 private:
  OutputFile(std::string path, std::string temporary, Fd fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(std::move(fd)) {}
  std::string path_, temporary_;  // temporary_ is empty when path_ is written directly.
  Fd fd_;
};

}  // namespace wh::host
