#include "kyua/cli/ui.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "host/system.h"

namespace wh::kyua::cli {

void Ui::out(std::string_view line) {
  fmt::print(out_, "{}\n", line);
  log('I', line);
}

void Ui::out_part(std::string_view text) {
  fmt::print(out_, "{}", text);
  std::fflush(out_);
}

void Ui::err(std::string_view line) {
  std::fflush(stdout);
  fmt::print(stderr, "{}\n", line);
  log('I', line);
}

void Ui::message(char kind, std::string_view text) {
  std::fflush(stdout);
  fmt::print(stderr, "{}: {}: {}.\n", program_, kind, text);
  log(kind, text);
}

void Ui::log(char level, std::string_view text) {
  const size_t rank = std::string_view("EWID").find(level);
  if (!log_ || rank > static_cast<size_t>(level_)) return;
  // A log that cannot be written must not stop a test run.
  (void)host::write_all(
      log_.raw(),
      fmt::format("{} {} {} cli: {}\n", to_compact(now_()).substr(0, 15), level, ::getpid(), text));
}

Result<void> Ui::open_log(const std::string& path, LogLevel level) {
  std::error_code ignored;  // Opening the file will tell.
  std::filesystem::create_directories(branch_path(path), ignored);
  log_ = TRY(host::open_file(path, O_WRONLY | O_CREAT | O_APPEND));
  level_ = level;
  return {};
}

bool Ui::is_terminal() const {
  return ::isatty(::fileno(out_)) == 1;
}

}  // namespace wh::kyua::cli
