// The parameters of a jail: jail(8)'s names, as far as Linux can hold them.
//
// One table says which there are, what each maps to on Linux, and which can be changed while the
// jail runs; `jail --help` and docs/jail.md show it. A name that is not in it is refused by name,
// as is a value that Linux cannot hold. Parameters are words NAME=VALUE; a boolean one is NAME or
// noNAME, with "no" before the last part
// ("allow.noraw_sockets").
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace wh::jail {

enum class Network : uint8_t {
  Own,  // A network namespace with a loopback interface: `vnet`, or no ip4/ip6 parameter at all.
  Inherit,  // The parent's: ip4=inherit or ip6=inherit.
};

struct JailParams {
  std::string name;        // Empty: the jid.
  std::string path = "/";  // Absolute.
  std::string hostname;    // Empty: the name.
  bool is_vnet = false;    // May configure its network, which is its own.
  std::vector<std::string> vnet_interfaces;
  std::string ip4 = "", ip6 = "";      // "inherit", "new", "disable"; empty: not given.
  std::vector<std::string> addresses;  // "IF|ADDRESS/LENGTH" or "ADDRESS/LENGTH" on lo.
  int64_t children_max = 0;
  bool is_persistent = false;
  bool allows_raw_sockets = false, allows_mount = false;
  bool denies_raw_sockets = false;  // Said so: else a vnet has them.
  int securelevel = -1;             // -1 to 3.
  std::vector<std::string> exec_start, exec_stop;
  bool is_exec_clean = false;
  int devfs_ruleset = 0;             // 0: the parent's /dev; 4, 5: a small one of its own.
  std::vector<std::string> devices;  // Paths of files that its own /dev has, too.
  std::vector<std::string> command;  // With its arguments.

  Network network() const;
  // Sets one parameter from a word. Errors: unknown, unsupported, not a value for it.
  Result<void> set(std::string_view word);
  // "vnet,path=/,..." as words that set() takes, for the registry. The command is not among them.
  std::vector<std::string> words() const;
  std::optional<std::string> get(std::string_view name) const;
};

struct ParamDoc {
  std::string_view name, maps_to;
  bool can_be_modified;
};
std::span<const ParamDoc> param_docs();
bool is_boolean(std::string_view name);  // A parameter whose word is NAME or noNAME.

// All words of a command line; what follows `command=` is its arguments.
Result<JailParams> parse_params(const std::vector<std::string>& words);

}  // namespace wh::jail
