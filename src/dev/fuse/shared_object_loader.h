// Drivers from files: shared objects, through the dynamic linker.
//
// A name without a slash ("echo", "echo.so") is looked for in the directories given, in order. A
// file that is loaded already, by another kernel of this process, is loaded again from a private
// copy, so that each kernel has a driver with variables of its own.
#pragma once

#include <string>
#include <vector>

#include "dev/module.h"

namespace wh::dev {

class SharedObjectLoader final : public ModuleLoader {
 public:
  explicit SharedObjectLoader(std::vector<std::string> directories)
      : directories_(std::move(directories)) {}
  Result<std::unique_ptr<Image>> load(const std::string& path_or_name) override;

 private:
  Result<std::string> find(const std::string& path_or_name) const;
  std::vector<std::string> directories_;
};

}  // namespace wh::dev
