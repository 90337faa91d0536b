// The other end of the router's socket: what vppctl and the interactive prompt are.
//
// With a terminal it edits lines (libedit: history, Emacs or vi keys as ~/.editrc says, Tab
// completes, ? tells what could come next); without one it reads lines and shows each after its
// prompt, as a transcript has it. The words, their completion and the answers all come through the
// socket, so a prompt at the router and one far from it are the same. It blocks: the router runs
// it in a child process.
#pragma once

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/result.h"
#include "host/fd.h"

namespace wh::router {

class Client {
 public:
  explicit Client(host::Fd socket) : socket_(std::move(socket)) {}
  // Connects to a listening router. Errors: nobody listens there.
  static Result<Client> connect(const std::string& path);

  // Sends a request and prints what comes until its last answer, which is returned. Errors: the
  // router went away.
  Result<nlohmann::json> ask(const nlohmann::json& request, std::FILE* output);
  // Runs one line; its text goes to standard output, an error to `errors`. Returns the exit
  // status: 0, 1 (refused), 2 (the router went away).
  int run(const std::string& line, bool as_json, std::FILE* errors = stderr);
  // Reads lines until quit or the end of the input.
  int interact();
  char* prompt() { return prompt_.data(); }

 private:
  Result<void> send(std::string_view text);
  Result<std::string> read_line();
  int interact_plainly();
  int interact_with_editor();

  host::Fd socket_;
  std::string input_;
  std::string prompt_ = "vpp# ";  // Unless the router has another.
};

constexpr const char* kDefaultSocket = "/run/vpp/cli.sock";

}  // namespace wh::router
