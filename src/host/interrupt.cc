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

void put_back() {
  ::sigaction(SIGINT, &g_old_int, nullptr);
  ::sigaction(SIGTERM, &g_old_term, nullptr);
}

void on_signal(int) {
  const int interrupted = errno;
  put_back();  // A second signal, of either kind, does what it did before.
  if (g_stop != nullptr) (*g_stop)();
  errno = interrupted;
}

}  // namespace

InterruptGuard::InterruptGuard(std::function<void()> stop) {
  CHECK(g_stop == nullptr);
  g_stop = new std::function<void()>(std::move(stop));
  struct sigaction action = {};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, &g_old_int);
  ::sigaction(SIGTERM, &action, &g_old_term);
}

InterruptGuard::~InterruptGuard() {
  put_back();
  delete g_stop;
  g_stop = nullptr;
}

}  // namespace wh::host
