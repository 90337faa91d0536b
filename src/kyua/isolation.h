// What a case's process is before it becomes the test program: the isolation contract.
//
// Session and process group of its own; standard input is /dev/null; no descriptor but 0, 1 and 2;
// signals at their defaults, none blocked; umask 0022; core dumps allowed; current folder, HOME and
// TMPDIR the work folder; TZ=UTC and no locale; killed when its parent dies; another user where the
// case asks for one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kyua/config.h"
#include "kyua/protocol/protocol.h"

namespace wh::kyua {

class Isolation {
 public:
  // `out` and `err`: -1 for this process' own. Without a `user` the test is who this process is.
  Isolation(const Command& command, std::string work_folder, int out, int err,
            std::optional<User> user);
  Isolation(const Isolation&) = delete;
  Isolation& operator=(const Isolation&) = delete;

  // Becomes the program, in a child process; never returns. REQUIRES: take_default_signals(), in
  // this process or one above. Allocates nothing that it keeps and
  // changes no variable: after vfork(2) the memory is its parent's. A program that cannot be
  // started is said so on its standard error and aborts, as under Kyua.
  [[noreturn]] void become_test() const;

 private:
  std::string work_folder_;
  int out_, err_;
  std::optional<User> user_;
  // As execve(2) takes them: texts, and pointers to them (and to this process' own variables) with
  // a nullptr at the end.
  std::vector<std::string> arguments_, environment_;
  std::vector<char*> argv_, envp_;
};

// No signal is ignored or handled any more, here and in what this process starts.
void take_default_signals();

}  // namespace wh::kyua
