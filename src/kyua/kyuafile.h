// Kyuafiles: Lua scripts that list the test programs of a suite (kyuafile(5)).
//
//   syntax(2)
//   test_suite("FreeBSD")
//   atf_test_program{name="sonewconn_overflow", required_user="root", is_exclusive=true}
//   plain_test_program{name="subr_unit_test"}
//   include("acct/Kyuafile")
//
// Each file runs in a state of its own. Besides the calls above a script has current_kyuafile(),
// the helpers fs.basename, dirname, exists, files, is_absolute, join (relative to the Kyuafile's
// folder), logging.debug, info, warning, error, and Lua's base, string and table libraries.
// Programs come out in the order of the calls, an include's at its place, with names relative to
// the top Kyuafile.
//
// Besides Kyua's interfaces (atf, plain, tap, googletest) there is ctest_test_program, whose name
// is a CMake build tree's CTestTestfile.cmake.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/result.h"
#include "kyua/model.h"

namespace wh::kyua {

struct Suite {
  std::string root;  // Absolute folder of the top Kyuafile; names the results file.
  std::vector<TestProgram> programs;
};

struct KyuafileOptions {
  std::string path = "Kyuafile";
  std::string build_root = {};  // Where the programs are, if not beside the Kyuafiles.
  std::string cwd = "/";        // Absolute; relative paths start here.
  std::function<void(char level, const std::string& text)> log = {};  // 'E', 'W', 'I' or 'D'.
};

// Errors: "Load of 'Kyuafile' failed: ..." with the script's line.
Result<Suite> load_kyuafile(const KyuafileOptions& options);

}  // namespace wh::kyua
