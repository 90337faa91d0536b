// A line at the bottom of the terminal that says how far the run is; nothing where there is no
// terminal.
#pragma once

#include <string>

#include "kyua/cli/ui.h"
#include "kyua/scanner.h"

namespace wh::kyua::cli {

class Progress {
 public:
  Progress(Ui& ui, const Scanner& scanner);
  void started(const std::string& id, int running);
  void finished(bool is_good, bool is_final);
  void clear();  // Before anything else is written.

 private:
  const Scanner& scanner_;
  bool is_on_, is_shown_ = false;
  size_t good_ = 0, bad_ = 0;
};

}  // namespace wh::kyua::cli
