// The folder in which one case runs, and how it is emptied and removed whatever the case did to it.
//
//   $TMPDIR/kyua.aB3xYz/          the runner's: the result file
//   $TMPDIR/kyua.aB3xYz/work/     the case's: its HOME, TMPDIR and current folder
//
// Removal never follows what a test mounted below its folder: a mount point is unmounted or, if it
// cannot be, reported, and nothing behind it is touched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "kyua/config.h"

namespace wh::kyua {

class WorkFolder {
 public:
  // Both folders have mode 0755 and belong to `owner`, if given. Errors: the system's.
  static Result<WorkFolder> make(const std::string& temporary, const std::optional<User>& owner);

  std::string work() const { return top_ + "/work"; }
  std::string result_file() const { return top_ + "/result.atf"; }
  // Names in the work folder, sorted; at most kNamesShown of them.
  static constexpr size_t kNamesShown = 50;
  std::vector<std::string> leftovers() const;
  // Errors: what could not be removed. Safe to call again.
  Result<void> remove();

 private:
  explicit WorkFolder(std::string top) : top_(std::move(top)) {}
  std::string top_;
};

// Removes a folder and everything below it on the same mounts. Errors: the first thing that stayed.
Result<void> remove_tree(const std::string& path);

}  // namespace wh::kyua
