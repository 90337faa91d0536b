// May this case run here? The first requirement that does not hold is the reason to skip it.
//
// Order and wording are Kyua's: configs, architecture, execenv, platform, user, files, programs,
// memory, disk, kernel modules. Memory and modules are looked up in /proc, so that they count on
// Linux.
#pragma once

#include <optional>
#include <string>

#include "kyua/config.h"
#include "kyua/metadata.h"

namespace wh::kyua {

struct Machine {
  bool is_root = false;
  std::string path;         // PATH of the runner.
  std::string work_folder;  // Where the test's files will be.
  Bytes memory;             // Physical.
  bool has_jails = true;
};
Machine this_machine(std::string work_folder);

// Nothing when all hold. `metadata` is the case's over its program's.
std::optional<std::string> unmet_requirement(const Metadata& metadata, const Config& config,
                                             const std::string& suite, const Machine& machine);

}  // namespace wh::kyua
