#include "lab/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "host/system.h"
#include "lab/world.h"

namespace wh::lab {
namespace {

namespace fs = std::filesystem;

std::string labs_folder() {
  return jail::Registry::own_folder() + "/labs";
}
std::string folder_of(const std::string& name) {
  return labs_folder() + "/" + name;
}

// Of the folder of labs: for whoever claims one, looks whether one is kept or sweeps one. To look
// is to lock for a moment, and what is not locked is swept, so a lab in the making must not be
// seen.
Result<host::Fd> lock_labs() {
  TRY(host::make_folder(labs_folder()));
  return host::lock_folder(labs_folder());
}

// REQUIRES: lock_labs().
bool is_kept(const std::string& folder) {
  const host::Fd lock(::open((folder + "/lock").c_str(), O_RDONLY | O_CLOEXEC));
  return lock && ::flock(lock.raw(), LOCK_EX | LOCK_NB) != 0;
}

// The folder of a lab in the making, locked.
Result<host::Fd> claim(const std::string& name) {
  const std::string folder = folder_of(name);
  const host::Fd labs = TRY(lock_labs());
  TRY(host::make_folder(folder));
  host::Fd lock = TRY(host::open_file(folder + "/lock", O_RDWR | O_CREAT));
  if (::flock(lock.raw(), LOCK_EX | LOCK_NB) != 0) {
    return fail("lab {} is up already; wh lab down takes it down", name);
  }
  TRY(host::write_file(folder + "/lock", fmt::format("{}", ::getpid())));
  return lock;
}

// REQUIRES: lock_labs().
void forget(const std::string& name) {
  std::error_code ignored;  // The next look sweeps it.
  fs::remove_all(folder_of(name), ignored);
}

Result<void> detach_from_terminal() {
  ::setsid();
  if (::chdir("/") != 0) return host::os_error("enter /");
  const host::Fd null = TRY(host::open_file("/dev/null", O_RDWR));
  for (int fd = 0; fd < 3; ++fd) ::dup2(null.raw(), fd);
  return {};
}

// Builds the lab, says that it is up, and keeps it until it is told to stop.
Result<void> build_and_keep(const Topology& topology, const std::string& text, int report) {
  TRY(become_builder());
  const auto loop = TRY(host::RealLoop::make());
  const auto signals =
      TRY(host::SignalWatch::make(*loop, {SIGTERM, SIGINT}, [&](int) { loop->stop(); }));
  auto world = World::build(topology, *loop, loop.get());
  auto ready = world ? (*world)->start_programs() : Result<void>(tl::unexpected(world.error()));
  if (ready) ready = (*world)->listen(folder_of(topology.name));
  if (ready) ready = host::write_file(folder_of(topology.name) + "/lab.toml", text);
  if (ready) ready = detach_from_terminal();
  if (ready) {
    TRY(host::write_all(report, "up"));
    ::close(report);
    loop->on_wake([] {});  // Something may happen for as long as the keeper lives.
    loop->run();
  }
  return ready;
}

// The keeper.
Result<void> keep(const Topology& topology, const std::string& text, int report) {
  TRY(host::close_all_but({report}));
  const host::Fd lock = TRY(claim(topology.name));
  auto kept = build_and_keep(topology, text, report);
  if (const auto labs = lock_labs()) forget(topology.name);  // Else the next look sweeps it.
  return kept;
}

// The process that keeps a lab; none when it has just ended. Errors: it is not up.
Result<host::Fd> keeper_of(const std::string& name) {
  const std::string folder = folder_of(name);
  const host::Fd labs = TRY(lock_labs());
  if (!is_kept(folder)) {
    forget(name);
    return tl::unexpected(
        Error{std::errc::no_such_file_or_directory, fmt::format("lab {} is not up", name)});
  }
  const std::string text = TRY(host::read_file(folder + "/lock"));
  pid_t keeper = 0;
  std::from_chars(text.data(), text.data() + text.size(), keeper);
  if (keeper <= 0) return fail("{}/lock does not say who keeps the lab", folder);
  host::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, keeper, 0)));
  return is_kept(folder) ? std::move(process) : host::Fd();
}

}  // namespace

Result<void> become_builder() {
  if (::geteuid() == 0) return {};
  ::setenv("WHEELHOUSE_RUN", jail::Registry::machine_folder().c_str(), 1);
  auto space = host::Netns::make(host::Netns::Users::Own);
  if (!space) {
    return tl::unexpected(
        std::move(space.error()).within("a lab needs root, or unprivileged user namespaces"));
  }
  return space->enter();
}

Result<void> bring_up(const Topology& topology, const std::string& text) {
  auto pipe = TRY(host::make_pipe());
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return host::os_error("start the lab's keeper");
  if (pid == 0) {
    pipe.read_end.close();
    const int report = pipe.write_end.release();
    if (auto kept = keep(topology, text, report); !kept) {
      (void)host::write_all(report, kept.error().text);  // The caller may have gone.
      ::_exit(1);
    }
    ::_exit(0);
  }
  pipe.write_end.close();
  const std::string said = TRY(host::read_to_end(pipe.read_end.raw()));
  if (said == "up") return {};
  int status = 0;
  host::uninterrupted([&] { return ::waitpid(pid, &status, 0); });
  return fail("{}", said.empty() ? "the lab's keeper died" : said);
}

Result<void> take_down(const std::string& name) {
  const host::Fd process = TRY(keeper_of(name));
  if (!process) return {};  // It has just ended.
  if (::syscall(SYS_pidfd_send_signal, process.raw(), SIGTERM, nullptr, 0) != 0) {
    return host::os_error("stop the keeper of lab {}", name);
  }
  pollfd ended{process.raw(), POLLIN, 0};
  constexpr int kPatience = 20'000;  // Milliseconds for an orderly end.
  if (host::uninterrupted([&] { return ::poll(&ended, 1, kPatience); }) == 0) {
    ::syscall(SYS_pidfd_send_signal, process.raw(), SIGKILL, nullptr, 0);
    host::uninterrupted([&] { return ::poll(&ended, 1, -1); });
  }
  const host::Fd labs = TRY(lock_labs());
  if (!is_kept(folder_of(name))) forget(name);  // Another may have its name by now.
  return {};
}

Result<std::vector<std::string>> labs_up() {
  std::vector<std::string> names;
  std::error_code error;
  if (!fs::exists(labs_folder(), error)) return names;
  const host::Fd labs = TRY(host::lock_folder(labs_folder()));
  for (fs::directory_iterator it(labs_folder(), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (is_kept(it->path().string())) {
      names.push_back(name);
    } else {
      forget(name);
    }
  }
  return names;
}

std::string router_socket(const std::string& lab, const std::string& host) {
  return fmt::format("{}/{}.sock", folder_of(lab), host);
}

}  // namespace wh::lab
