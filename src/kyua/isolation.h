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

struct Isolation {
  Command command;
  std::string work_folder;
  int out = -1, err = -1;
  std::optional<User> user;
};

// Becomes the program, in a child process; never returns. A program that cannot be started is said
// so on its standard error and aborts, as under Kyua.
[[noreturn]] void become_test(const Isolation& isolation);

}  // namespace wh::kyua
