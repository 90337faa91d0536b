// What the person sees, and the log file that keeps it.
//
// Messages are "kyua: E: text." on standard error. The log has a line for each message and each
// line of output: "20261121-231913 I 4711 cli: text".
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include "host/fd.h"
#include "kyua/text.h"

namespace wh::kyua::cli {

enum class LogLevel : uint8_t { Error, Warning, Info, Debug };

class Ui {
 public:
  Ui(std::string program, std::function<WallTime()> now)
      : program_(std::move(program)), now_(std::move(now)) {}

  void out(std::string_view line);       // With a line end.
  void out_part(std::string_view text);  // Without, and at once.
  void err(std::string_view line);
  void error(std::string_view text) { message('E', text); }
  void warning(std::string_view text) { message('W', text); }
  void info(std::string_view text) { message('I', text); }
  void log(char level, std::string_view text);

  // What goes to standard output goes to standard error from here on.
  void leave_standard_output() { out_ = stderr; }
  // Errors: it cannot be written. The folder is made.
  Result<void> open_log(const std::string& path, LogLevel level);
  bool is_terminal() const;  // Where the output goes is one.

 private:
  void message(char kind, std::string_view text);

  std::string program_;
  std::function<WallTime()> now_;
  std::FILE* out_ = stdout;
  host::Fd log_;
  LogLevel level_ = LogLevel::Info;
};

}  // namespace wh::kyua::cli
