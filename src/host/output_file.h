// Files into which a job's results go: whole or not at all, or as they come.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"
#include "host/fd.h"

namespace wh::host {

// A file that is written at the end of a job but whose path is checked at its beginning. A regular
// file is replaced at once by finish() (written beside it, then renamed), so that an interrupted or
// failed job, or a power cut, leaves what was there before; when finish() returns, the new one
// lasts. It keeps the rights to it; of a symbolic link it is the file that it leads to. A device, a
// pipe or standard output ("-") is written directly.
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

// A log that grows while a job runs: lines are gathered and written 64 KiB at a time. An existing
// file is replaced from the start; "-" is standard output. The first failure is kept, nothing is
// written after it, and close() reports it. What was gathered is written when the object goes, too.
class LineFile {
 public:
  static Result<std::unique_ptr<LineFile>> create(std::string path);
  ~LineFile() { flush(); }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  void append(std::string_view lines) {
    gathered_ += lines;
    if (gathered_.size() >= kGathered) flush();
  }
  void flush();  // For those who read along.
  // Errors: a full disk and the like, naming the path. What was written until then stays.
  Result<void> close();

 private:
  static constexpr size_t kGathered = 64 << 10;
  LineFile(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_, gathered_;
  Fd fd_;
  Result<void> written_;
};

}  // namespace wh::host
