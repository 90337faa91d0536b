// wh dev shell: a shell that finds the drivers' devices in /dev, beside the machine's own.
//
// In a mount namespace of its own, /dev is a devfs: names that no driver made are links to the
// machine's. When the shell ends, all of it is gone.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

#include "apps/commands.h"
#include "apps/dev.h"
#include "dev/fuse/mount.h"
#include "host/mountns.h"
#include "host/system.h"
#include "lab/device_network.h"

namespace wh::apps {
namespace {

// A folder that goes when its owner does, and what is mounted on it.
struct Folder {
  explicit Folder(std::string name) : path(std::move(name)) {}
  ~Folder() {
    host::unmount(path);
    ::rmdir(path.c_str());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string path;
};

// The child: waits until /dev is there, then becomes the program.
[[noreturn]] void become(host::Pipe gate, std::vector<std::string> command) {
  gate.write_end.close();
  const auto go = host::read_to_end(gate.read_end.raw());
  if (!go || *go != "go") ::_exit(kUsage);
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::setenv("WH_DEV", "/dev", 1);
  ::execvp(argv[0], argv.data());
  fmt::print(stderr, "wh dev shell: {}: {}\n", command[0], strerror(errno));
  ::_exit(127);
}

struct End {
  int code;
  bool is_finished;
};

Result<End> serve(const ShellFlags& flags, const std::string& backdrop, pid_t child, int gate) {
  dev::Mount::Options options = {
      .directory = "/dev",
      .backdrop = backdrop,
      .drivers = flags.drivers,
      .driver_path = driver_path(flags.paths),
      .ctrl_c = dev::Mount::CtrlC::Ignored,
      .console = [](const std::string& s) { static_cast<void>(host::write_all(2, s)); },
      .network = std::make_shared<lab::LinuxNetwork>()};
  auto mount = TRY(dev::Mount::make(std::move(options)));
  TRY(host::write_all(gate, "go"));
  ::close(gate);
  int status = 0;
  std::thread reaper([child, &status] {
    ::waitpid(child, &status, 0);
    ::kill(::getpid(), SIGTERM);
  });
  const std::vector<std::string> stuck = mount->run();
  reaper.join();
  for (const std::string& who : stuck) {
    fmt::print(stderr, "wh dev shell: this never returned: {}\n", who);
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return End{code, mount->is_finished()};
}

}  // namespace

Result<int> run_dev_shell(ShellFlags flags) {
  for (std::string& driver : flags.drivers) driver = absolute_driver(driver);
  if (flags.command.empty()) {
    const char* shell = std::getenv("SHELL");
    flags.command = {shell != nullptr ? shell : "/bin/sh"};
  }
  TRY(host::enter_private_mounts());
  std::string pattern = std::filesystem::temp_directory_path() / "wh-dev-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return host::os_error("make a folder {}", pattern);
  std::optional<Folder> behind(std::in_place, pattern);
  TRY(host::bind_tree("/dev", behind->path));
  host::Pipe gate = TRY(host::make_pipe());
  const pid_t child = ::fork();
  if (child < 0) return host::os_error("fork");
  if (child == 0) become(std::move(gate), flags.command);
  gate.read_end.close();
  const End end = TRY(serve(flags, behind->path, child, gate.write_end.release()));
  behind.reset();
  std::fflush(nullptr);
  if (!end.is_finished) std::_Exit(end.code);
  return end.code;
}

}  // namespace wh::apps
