// Where results files are and what they are called.
//
//   ~/.kyua/store/results.usr_tests_sys_kern.20261121-231913-829292.db
//                         suite id           when it began, UTC
//
// The suite id is the folder of the top Kyuafile with its first slash dropped and the others made
// "_".
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "kyua/text.h"

namespace wh::kyua {

struct Layout {
  std::string store;  // $HOME/.kyua/store.
  std::string cwd;
};

struct NewResultsFile {
  std::string id;  // Empty when the user named the file.
  std::string path;
};

std::string suite_id(std::string_view root);
// For `-r` of `test`: NEW, or a path. Errors: the file exists and is not empty.
Result<NewResultsFile> new_results_file(const Layout& layout, const std::string& given,
                                        const std::string& suite_root, WallTime now);
// For `-r` of the readers: LATEST, a path, an id, a suite id, or a suite's folder. Errors: none
// found.
Result<std::string> find_results_file(const Layout& layout, const std::string& given);

}  // namespace wh::kyua
