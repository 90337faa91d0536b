#include "host/interrupt.h"

#include <cerrno>
#include <csignal>

#include "core/check.h"

namespace wh::host {
namespace {

// A signal handler has no other way to its object. Written before the handler is installed and
// cleared after it is gone.
std::function<void()>* g_stop = nullptr;
struct sigaction g_old_int, g_old_term;

void on_signal(int) {
  // SA_RESETHAND has put the default action back, so a second signal ends the process.
  const int interrupted = errno;
  if (g_stop != nullptr) (*g_stop)();
  errno = interrupted;
}

}  // namespace

InterruptGuard::InterruptGuard(std::function<void()> stop) {
  CHECK(g_stop == nullptr);
  g_stop = new std::function<void()>(std::move(stop));
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, &g_old_int);
  ::sigaction(SIGTERM, &action, &g_old_term);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &g_old_int, nullptr);
  ::sigaction(SIGTERM, &g_old_term, nullptr);
  delete g_stop;
  g_stop = nullptr;
}

}  // namespace wh::host
