#include "kyua/cli/progress.h"

#include <unistd.h>

namespace wh::kyua::cli {

// With one case at a time the line of the case itself is the progress.
Progress::Progress(Ui& ui, const Scanner& scanner)
    : scanner_(scanner), is_on_(ui.is_terminal() && ::isatty(STDERR_FILENO) == 1) {}

void Progress::started(const std::string& id, int running) {
  if (!is_on_ || running < 2) return;
  clear();
  const size_t done = good_ + bad_;
  fmt::print(stderr, "{} of {}{} done, {} failed, {} running, last started {}", done,
             scanner_.known(), scanner_.is_complete() ? "" : "+", bad_, running, id.substr(0, 40));
  std::fflush(stderr);
  is_shown_ = true;
}

void Progress::finished(bool is_good, bool is_final) {
  if (is_final) ++(is_good ? good_ : bad_);
}

void Progress::clear() {
  if (!is_shown_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  is_shown_ = false;
}

}  // namespace wh::kyua::cli
