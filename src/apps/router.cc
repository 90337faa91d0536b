// wh router: starts a router as `vpp` is started. wh vppctl: talks to one that runs.
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>

#include "apps/commands.h"
#include "host/system.h"
#include "router/client.h"
#include "router/process.h"
#include "router/startup.h"

namespace wh::apps {
namespace {

constexpr const char* kRouterHelp =
    "usage: wh router [-c FILE | CONFIGURATION...]\n"
    "\n"
    "Runs the vector router. FILE, or the arguments joined, are a start-up configuration in VPP's\n"
    "form; without any, `unix { interactive }`.\n"
    "\n"
    "  -c FILE   read the configuration from a file\n"
    "  --schema  print the methods of the JSON socket with the schema of their values\n"
    "  --help    this\n"
    "\n"
    "Example:\n"
    "  wh router \"unix { interactive } plugins { plugin default { disable } plugin\n"
    "     netmap_plugin.so { enable } plugin ping_plugin.so { enable } }\"\n"
    "  wh router unix { nodaemon exec setup.cli cli-listen /run/vpp/cli.sock } &\n"
    "  wh vppctl show interface\n";

constexpr const char* kControlHelp =
    "usage: vppctl [-s SOCKET] [--json] [COMMAND...]\n"
    "\n"
    "Gives a running router a command, or a prompt when there is none.\n"
    "\n"
    "  -s SOCKET  where the router listens [/run/vpp/cli.sock]\n"
    "  --json     the answer as JSON\n"
    "  --help     this\n"
    "\n"
    "Example:\n"
    "  vppctl -s /run/vpp/cli.sock show interface\n";

std::string joined(int argc, char** argv, int from) {
  std::string text;
  for (int i = from; i < argc; ++i) text += fmt::format("{}{}", i == from ? "" : " ", argv[i]);
  return text;
}

int complain(const Error& error) {
  fmt::print(stderr, "wh router: {}\n", error.text);
  return kUsage;
}

}  // namespace

int router_main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h") {
    fmt::print("{}", kRouterHelp);
    return kYes;
  }
  if (first == "--schema") {
    fmt::print("{}\n", router::schema_text());
    return kYes;
  }
  Result<router::Startup> startup = router::Startup{.interactive = true};
  if (first == "-c") {
    if (argc != 3) return complain({{}, "-c takes the path of one file"});
    const auto text = host::read_file(argv[2]);
    if (!text) return complain(text.error());
    startup = router::parse_startup(*text, argv[2]);
  } else if (argc > 1) {
    startup = router::parse_startup(joined(argc, argv, 1), "arguments");
  }
  if (!startup) return complain(startup.error());
  const auto status = router::run_router(*startup);
  return status ? *status : complain(status.error());
}

int vppctl_main(int argc, char** argv) {
  std::string socket = router::kDefaultSocket;
  bool as_json = false;
  int at = 1;
  for (; at < argc; ++at) {
    const std::string_view word = argv[at];
    if (word == "--help" || word == "-h") {
      fmt::print("{}", kControlHelp);
      return kYes;
    }
    if (word == "--json") {
      as_json = true;
    } else if (word == "-s") {
      if (++at == argc) {
        fmt::print(stderr, "vppctl: -s takes the path of a socket\n");
        return kUsage;
      }
      socket = argv[at];
    } else {
      break;
    }
  }
  auto client = router::Client::connect(socket);
  if (!client) {
    fmt::print(stderr, "vppctl: {}\n", client.error().text);
    return kUsage;
  }
  const std::string line = joined(argc, argv, at);
  return line.empty() ? client->interact() : client->run(line, as_json);
}

}  // namespace wh::apps
