// The folder in which a worker's cases run, and how it is emptied whatever a case did to it.
//
//   $TMPDIR/kyua.aB3xYz/          the worker's: the result file
//   $TMPDIR/kyua.aB3xYz/work/     the case's: its HOME, TMPDIR and current folder
//
// They serve the next case too when a case leaves them as they were made; else they are removed,
// and the next case gets new ones. Removal never follows what a test mounted below its folder: a
// mount point is unmounted or, if it cannot be, reported, and nothing behind it is touched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "kyua/config.h"

namespace wh::kyua {

class WorkFolder {
 public:
  // `reserved`: the name to use for the worker's folder while it is free, so that somebody else
  // knows what to remove; else the name is made up.
  explicit WorkFolder(std::string temporary, std::string reserved = "")
      : temporary_(std::move(temporary)), reserved_(std::move(reserved)) {}
  ~WorkFolder() { (void)remove(); }  // Nothing that anybody could be told is left to remove.
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  // For a case. Both folders are empty, have mode 0755, and belong to `owner`, if given. REQUIRES:
  // a umask that lets that be. Errors: the system's.
  Result<void> make(const std::optional<User>& owner);
  // After the case. Errors: what could not be removed, which then stays there.
  Result<void> clear();

  // REQUIRES: made.
  std::string work() const { return top_ + "/work"; }
  std::string result_file() const { return top_ + "/result.atf"; }
  // Names in the work folder, sorted; at most kNamesShown of them.
  static constexpr size_t kNamesShown = 50;
  std::vector<std::string> leftovers() const;

 private:
  Result<void> remove();

  std::string temporary_, reserved_;
  std::string top_;       // Empty: there is none.
  bool is_lent_ = false;  // They belong to a case's user.
};

// A name that is free in `temporary`, and will be.
Result<std::string> reserve_folder(const std::string& temporary);

// Removes a folder and everything below it on the same mounts. Errors: the first thing that stayed.
Result<void> remove_tree(const std::string& path);

}  // namespace wh::kyua
