// What `sysctl`, `sockstat` and the like ask of a running object, and its answers.
//
// A question is words separated by newlines; an answer is "ok" or "no" on a line of its own, then
// text. The object listens at a name it puts into the environment (WH_CONTROL), so that the shell
// lines of a script, which are its grandchildren, find it; and it puts the folder with commands of
// those names first in PATH when it finds one beside it.
//
//   sysctl list PREFIX        leaves, each ended by a zero byte (a value may be a table of several
//                             lines), fields separated by tabs
//   sysctl set NAME=VALUE     the value before
//   sockets                   one socket a line: family, local, foreign, state, owner
//   drop STATE|all            gives those connections up, silently
//   mtu BYTES                 of the interface
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/question.h"
#include "packetdrill/world.h"

namespace wh::packetdrill {

class Kernel;

constexpr const char* kControlVariable = "WH_CONTROL";

class Control {
 public:
  Control(World& world, Kernel& kernel);

  // The answer to a question; the caller does not hold the lock.
  std::string answer(const std::string& question);

 private:
  Result<std::string> act(const std::vector<std::string>& words);
  Result<std::string> set(const std::string& assignment);
  std::string sockets() const;
  Result<std::string> drop(const std::string& state);

  World& world_;
  Kernel& kernel_;
  std::unique_ptr<host::Answerer> answerer_;
};

// FreeBSD's words for the states: SYN_RCVD, FIN_WAIT_1, ...
std::string_view bsd_name(tcp::State state);

}  // namespace wh::packetdrill
