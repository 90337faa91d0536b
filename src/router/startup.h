// How a router is started: VPP's start-up configuration, as a file or as arguments.
//
//   unix { interactive nodaemon exec /etc/vpp/setup.cli cli-listen /run/vpp/cli.sock
//          startup-config /etc/vpp/router.conf }
//   plugins { plugin default { disable } plugin netmap_plugin.so { enable } path DIR }
//   metrics { port 9482 }
//   cpu { workers 2 }
//
// Words and braces; a word that begins with # begins a comment. What the kinds of interfaces, ping
// and their like are to VPP, plugins, is built in here: enabling one is granted, disabling one is
// remembered by nobody. Sections that only VPP needs (dpdk, buffers, ...) are accepted and do
// nothing. Which cores threads run on is the system's matter unless `main-core` or
// `corelist-workers` say so; a scheduling policy is refused.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace wh::router {

struct Startup {
  bool interactive = false;
  bool banner = true;
  std::optional<std::string> cli_listen;      // A socket's path.
  std::optional<std::string> exec;            // A script of commands.
  std::optional<std::string> startup_config;  // Loaded as `configuration load` does.
  std::optional<std::string> log;             // Where commands are written down as they come.
  std::optional<std::string> pidfile;         // There while the router runs.
  std::optional<std::string> prompt;          // "vpp# " if not given.
  std::optional<uint16_t> metrics_port;
  uint32_t workers = 0;                // Threads that forward beside the main one.
  bool places_interfaces = false;      // Each reads all frames of some interfaces, not some of all.
  std::optional<uint32_t> main_core;   // Where the main thread runs,
  std::vector<uint32_t> worker_cores;  // and each worker; empty: anywhere.
  std::string plugin_path;             // Where shared objects with nodes are looked for.
  struct Plugin {
    std::string name, place;  // "wh.conf:3", where it was asked for.
  };
  std::vector<Plugin> plugins;  // To be loaded from there.
  std::string text;             // All of this as it was given, in one line.
};

// `name` stands for the text in errors: a file's name, or "arguments". Errors: the line, the word,
// and what was expected.
Result<Startup> parse_startup(std::string_view text, std::string_view name);

}  // namespace wh::router
