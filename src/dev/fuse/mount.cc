#include "dev/fuse/mount.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "dev/fuse/control.h"
#include "dev/fuse/server.h"
#include "dev/fuse/shared_object_loader.h"

namespace wh::dev {
namespace {

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  return set;
}

}  // namespace

Standing standing_on(const std::string& directory) {
  struct stat st {};
  if (::stat((directory + "/" + kControlName).c_str(), &st) == 0) return Standing::Served;
  return errno == ENOTCONN ? Standing::Dead : Standing::Nothing;
}

Result<void> take_away_dead(const std::string& directory) {
  if (::umount2(directory.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return {};
  // Not root: the program that mounted it for us may unmount it, too.
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", directory.c_str(), nullptr);
    ::_exit(127);
  }
  int status = -1;
  while (pid > 0 && ::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return {};
  return fail("{}: its server has died, and it cannot be unmounted", directory);
}

struct Mount::Parts {
  explicit Parts(const Options& options)
      : network(options.network),
        loader(options.driver_path),
        kernel(machine, loader,
               {.console =
                    [this, console = options.console](const std::string& text) {
                      log.add(text);
                      if (console) console(text);
                    },
                .network = network.get()}),
        server(kernel, machine, log, {options.directory, options.backdrop}) {}

  MessageLog log;
  ThreadMachine machine;
  std::shared_ptr<Network> network;
  SharedObjectLoader loader;
  Kernel kernel;
  Server server;
  std::atomic<bool> has_served{false};
};

Mount::Mount(Options options)
    : options_(std::move(options)), parts_(std::make_shared<Parts>(options_)) {}

Mount::~Mount() = default;

Result<std::unique_ptr<Mount>> Mount::make(Options options) {
  const sigset_t signals = set_of({SIGINT, SIGTERM, SIGHUP});
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::unique_ptr<Mount> mount(new Mount(std::move(options)));
  Parts& parts = *mount->parts_;
  for (const std::string& driver : mount->options_.drivers) {
    TRY(parts.kernel.modules().load(driver));
  }
  TRY(parts.server.mount());
  return mount;
}

std::vector<std::string> Mount::run() {
  // The serving thread owns the parts, too: it may be inside a driver for ever.
  std::thread serving([parts = parts_] {
    parts->server.serve();
    parts->has_served = true;
    ::kill(::getpid(), SIGTERM);  // Unmounted from outside: wakes the wait below.
  });
  serving.detach();
  const sigset_t signals =
      options_.ctrl_c == CtrlC::Ends ? set_of({SIGINT, SIGTERM, SIGHUP}) : set_of({SIGTERM});
  int signal = 0;
  ::sigwait(&signals, &signal);
  std::vector<std::string> stuck = parts_->server.stop(options_.grace);
  if (!parts_->has_served) parts_->server.unmount();
  // A program that keeps a descriptor keeps the kernel's side alive; nothing calls us through it.
  const Instant end = parts_->machine.now() + options_.farewell;
  while (!parts_->has_served && parts_->machine.now() < end) std::this_thread::sleep_for(5ms);
  return stuck;
}

bool Mount::is_finished() const {
  return parts_->has_served;
}

}  // namespace wh::dev
