// wh, the one program. A subcommand is one row of the table below; a link to wh with an article's
// own name (vppctl, echoctl, kyua, ...) runs the row of that name.
//
// Exit status: 0; 1, the job ran and the answer is no; 2, it was asked wrongly or the machine
// cannot.
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <exception>
#include <string_view>
#include <vector>

#include "apps/commands.h"
#include "apps/jail_commands.h"
#include "apps/kyua_commands.h"
#include "core/sysctl.h"
#include "host/system.h"

namespace {

struct Command {
  std::string_view name;
  int (*main)(int argc, char** argv);
  std::string_view does;
};

constexpr std::array kCommands = {
    Command{"pace", wh::apps::pace_main,
            "run flows over a path and show what congestion control and pacing do"},
    Command{"lab", wh::apps::lab_main, "bring up, check and take down a network from one file"},
    Command{"proxy", wh::apps::proxy_main,
            "carry real programs' connections over our own TCP, paced"},
    Command{"router", wh::apps::router_main, "the vector router, with VPP's commands"},
    Command{"vppctl", wh::apps::vppctl_main, "give a running router commands"},
    Command{"kyua", wh::apps::kyua_main, "run test suites, each case isolated, and report on them"},
    Command{"jail", wh::apps::jail_main, "make, change and remove hosts made of namespaces"},
    Command{"jls", wh::apps::jls_main, "list jails"},
    Command{"jexec", wh::apps::jexec_main, "run a program in a jail"},
    Command{"ifconfig", wh::apps::ifconfig_main, "make epairs and wire jails with them"},
    Command{"route", wh::apps::route_main, "add and delete routes in a jail"},
    Command{"ip", wh::apps::ip_main,
            "of ip(8), what packetdrill scripts ask of a stack under test"},
    Command{"sockstat", wh::apps::sockstat_main, "list the sockets of a stack under test"},
    Command{"sweep", wh::apps::sweep_main, "run every combination of parameters, and map them"},
    Command{"advise", wh::apps::advise_main, "recommend the fulcrum rate for a path, and say why"},
    Command{"trace", wh::apps::trace_main, "print a link that varies, as a file of a recording"},
    Command{"sysctl", wh::apps::sysctl_main, "list and explain the tunables of a network stack"},
    Command{"tc", wh::apps::tc_main, "of tc(8), what packetdrill scripts ask: nothing"},
    Command{"tcpdrop", wh::apps::tcpdrop_main, "end connections of a stack under test"},
    Command{"dev", wh::apps::dev_main, "mount a device file system, load and unload drivers"},
    Command{"echoctl", wh::apps::echoctl_main, "talk to the echo device of the articles"},
    Command{"kldload", wh::apps::dev_program_main, "load a driver into a mounted devfs"},
    Command{"kldstat", wh::apps::dev_program_main, "show the drivers of a mounted devfs"},
    Command{"kldunload", wh::apps::dev_program_main, "unload a driver from a mounted devfs"},
    Command{"vmstat", wh::apps::dev_program_main, "show the memory of each malloc type (-m)"},
};

const Command* find(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

int usage(std::FILE* to) {
  fmt::print(to, "usage: wh COMMAND [OPTIONS]\n\n");
  for (const Command& command : kCommands)
    fmt::print(to, "  {:<10} {}\n", command.name, command.does);
  fmt::print(to,
             "\n`wh COMMAND --help` shows its options and an example. `wh --version` prints {}.\n",
             WH_VERSION);
  return to == stdout ? 0 : 2;
}

int unknown(std::string_view name) {
  std::vector<std::string> names;
  for (const Command& command : kCommands) names.emplace_back(command.name);
  const std::string near = wh::nearest(name, names);
  fmt::print(stderr, "wh: unknown command '{}'; accepted: {}{}\n", name, fmt::join(names, ", "),
             near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
  return 2;
}

int dispatch(int argc, char** argv) {
  std::string_view self = argc > 0 ? argv[0] : "wh";
  self = self.substr(self.rfind('/') + 1);
  if (const Command* command = find(self)) return command->main(argc, argv);
  if (argc < 2) return usage(stderr);
  const std::string_view word = argv[1];
  if (word == "--help" || word == "-h" || word == "help") return usage(stdout);
  if (word == "--version") {
    fmt::print("wh {}\n", WH_VERSION);
    return 0;
  }
  if (const Command* command = find(word)) return command->main(argc - 1, argv + 1);
  return unknown(word);
}

}  // namespace

int main(int argc, char** argv) {
  wh::host::open_standard_descriptors();
  try {
    const int status = dispatch(argc, argv);
    // What was printed is part of the result: with a full disk behind it, it did not come about.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      fmt::print(stderr, "wh: standard output could not be written whole\n");
      return 2;
    }
    return status;
  } catch (const std::exception& e) {
    // Only a library throws here (memory, formatting, a standard error that cannot be written); our
    // own failures are values.
    std::fprintf(stderr, "wh: %s\n", e.what());
    return 2;
  }
}
