// wh dev: a device file system on a mount point, and the drivers behind it.
//
// `mount` is the kernel: it serves until it is told to end. The other commands are programs that
// talk to it through the mount's control file; kldload, kldunload, kldstat and vmstat are also
// links of those names, and then find the mount in $WH_DEV.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>

#include "apps/commands.h"
#include "apps/dev.h"
#include "apps/json.h"
#include "apps/parse.h"
#include "dev/fuse/client.h"
#include "dev/fuse/mount.h"
#include "dev/kldstat.h"
#include "host/system.h"
#include "lab/device_network.h"

namespace wh::apps {
namespace {

constexpr const char* kDevFooter =
    "Example, a reader and a writer:\n"
    "  mkdir /tmp/dev && wh dev mount /tmp/dev --load echo --daemon\n"
    "  export WH_DEV=/tmp/dev\n"
    "  echo foo > $WH_DEV/echo && cat $WH_DEV/echo\n"
    "  kldstat && kldunload echo && wh dev umount $WH_DEV\n"
    "\nAs a user, fusermount3 must be installed, and only that user sees the devices.";

int complain(const char* who, const Error& error, int status) {
  fmt::print(stderr, "{}: {}\n", who, error.text);
  return status;
}

// ---- mount

struct MountFlags {
  std::string directory;
  std::vector<std::string> drivers;
  std::vector<std::string> paths;
  bool daemon = false, quiet = false;
};

// Serves in this process. `ready` is told how it went before the first request.
int serve(const MountFlags& flags, const std::function<void(const std::string& error)>& ready) {
  dev::Mount::Options options = {.directory = flags.directory,
                                 .drivers = flags.drivers,
                                 .driver_path = driver_path(flags.paths),
                                 .network = std::make_shared<lab::LinuxNetwork>()};
  if (!flags.quiet) options.console = [](const std::string& s) { fmt::print(stderr, "{}", s); };
  auto mount = dev::Mount::make(std::move(options));
  if (!mount) {
    ready(mount.error().text);
    return kUsage;
  }
  ready("");
  const std::vector<std::string> stuck = (*mount)->run();
  for (const std::string& who : stuck) {
    fmt::print(stderr, "wh dev mount: unmounted, but this never returned: {}\n", who);
  }
  const int status = stuck.empty() ? kYes : kNo;
  std::fflush(nullptr);
  if (!(*mount)->is_finished()) std::_Exit(status);
  return status;
}

// The parent waits until the mount stands, so that the next command finds it.
Result<int> serve_detached(const MountFlags& flags) {
  host::Pipe pipe = TRY(host::make_pipe());
  const pid_t child = ::fork();
  if (child < 0) return host::os_error("fork");
  if (child > 0) {
    pipe.write_end.close();
    const std::string answer = TRY(host::read_to_end(pipe.read_end.raw()));
    if (answer == "\n") return kYes;
    return fail("{}", answer.empty() ? "the server died" : answer);
  }
  ::setsid();
  if (::chdir("/") != 0 || !host::close_all_but({pipe.write_end.raw()})) std::_Exit(kUsage);
  const int status = serve(flags, [&](const std::string& error) {
    static_cast<void>(host::write_all(pipe.write_end.raw(), error.empty() ? "\n" : error));
    pipe.write_end.close();
    if (auto null = host::open_file("/dev/null", O_RDWR)) {
      for (const int fd : {0, 1, 2}) ::dup2(null->raw(), fd);
    }
  });
  std::_Exit(status);
}

int status_of(const char* who, const Result<int>& done) {
  return done ? *done : complain(who, done.error(), kUsage);
}

void define_mount(CLI::App& app, MountFlags& o) {
  app.footer(kDevFooter);
  app.add_option("directory", o.directory, "Where; an existing directory")->required();
  app.add_option("--load", o.drivers, "A driver to load; again for more")->allow_extra_args(false);
  app.add_option("--drivers", o.paths, "Where else drivers are looked for by name")
      ->allow_extra_args(false);
  app.add_flag("--daemon", o.daemon, "Detach once the mount stands");
  app.add_flag("--quiet", o.quiet, "Do not print what drivers say (see `wh dev dmesg`)");
}

void define_umount(CLI::App& app, std::string& directory) {
  app.footer(
      "Example:\n  wh dev umount /tmp/dev\n"
      "Exit status 1: a driver never returned; it says which.");
  app.add_option("directory", directory, "The mount")->required();
}

void define_shell(CLI::App& app, ShellFlags& o) {
  app.footer(
      "Example:\n  wh dev shell --load echo\n"
      "  wh dev shell --load echo sh -c 'echo foo > /dev/echo; cat /dev/echo'");
  app.add_option("--load", o.drivers, "A driver to load; again for more")->allow_extra_args(false);
  app.add_option("--drivers", o.paths, "Where else drivers are looked for by name")
      ->allow_extra_args(false);
  app.prefix_command();
}

void define_test(CLI::App& app, TestFlags& o) {
  app.footer(
      "Examples:\n  wh dev test echo\n  wh dev test ./mine.so --check race --seed 17 --seeds 1\n"
      "  wh dev test mine.c --sanitize thread");
  app.add_option("driver", o.driver, "A name, a path with a slash, or a .c or .cc file to build")
      ->required();
  app.add_option("--check", o.check, "This check only");
  app.add_option("--seed", o.seed, "The first seed [1]")->transform(whole_number());
  app.add_option("--seeds", o.seeds, "How many, where interleavings matter [50]")
      ->transform(whole_number(1, 1'000'000));
  app.add_option_function<std::string>(
      "--time",
      [&o](const std::string& text) {
        const auto time = read_time("--time", text, 1ms, std::chrono::hours(1));
        if (!time) throw CLI::ValidationError(time.error().text);
        o.time = *time;
      },
      "Of the check on real threads [2s]");
  app.add_option("--sanitize", o.sanitize, "Build the driver so, and run it on real threads")
      ->check(CLI::IsMember({"address", "thread"}));
  app.add_option("--drivers", o.paths, "Where else drivers are looked for by name")
      ->allow_extra_args(false);
  app.add_flag("--json", o.json, "A JSON array of checks");
  app.add_flag("--threads-only", o.threads_only, "Only the check on real threads, in this process");
}

int mount(MountFlags flags) {
  std::error_code gone;
  flags.directory = std::filesystem::absolute(flags.directory, gone).string();
  for (std::string& driver : flags.drivers) driver = absolute_driver(driver);
  if (dev::standing_on(flags.directory) == dev::Standing::Served) {
    const Error taken{std::errc::device_or_resource_busy,
                      flags.directory + ": a device file system is mounted there already"};
    return complain("wh dev mount", taken, kUsage);
  }
  if (dev::standing_on(flags.directory) == dev::Standing::Dead) {
    const auto gone_now = dev::take_away_dead(flags.directory);
    if (!gone_now) return complain("wh dev mount", gone_now.error(), kUsage);
  }
  if (flags.daemon) {
    const auto status = serve_detached(flags);
    return status ? *status : complain("wh dev mount", status.error(), kUsage);
  }
  return serve(flags, [&](const std::string& error) {
    if (!error.empty()) {
      fmt::print(stderr, "wh dev mount: {}\n", error);
    } else if (!flags.quiet) {
      fmt::print("devfs on {} (end it with Ctrl-C or `wh dev umount {}`)\n", flags.directory,
                 flags.directory);
      std::fflush(stdout);
    }
  });
}

int umount(const std::string& directory) {
  if (dev::standing_on(directory) == dev::Standing::Dead) {
    const auto gone = dev::take_away_dead(directory);
    return gone ? kYes : complain("wh dev umount", gone.error(), kNo);
  }
  auto client = dev::Client::open(directory);
  if (!client) return complain("wh dev umount", client.error(), kUsage);
  const auto answer = client->command("umount");
  client->close();
  if (!answer && answer.error().code != std::errc::device_or_resource_busy) {
    return complain("wh dev umount", answer.error(), kNo);
  }
  while (dev::standing_on(directory) == dev::Standing::Served) ::usleep(2000);
  if (answer) return kYes;
  fmt::print(stderr, "wh dev umount: unmounted, but this never returned: {}\n",
             answer.error().text);
  return kNo;
}

// ---- The programs that talk to a mount.

Result<std::string> ask(const std::string& directory, const std::string& line) {
  if (directory.empty()) {
    return fail("no mount named: give --mount DIR, or set WH_DEV to one (see `wh dev mount`)");
  }
  dev::Client client = TRY(dev::Client::open(directory));
  return client.command(line);
}

struct Kld {
  std::string mount, module, file;
  int id = -1;
  std::vector<std::string> files;
  bool quiet = false, verbose = false, force = false, maybe = false, json = false, memory = false,
       sums = false;
};

int kldload(const Kld& o) {
  int status = kYes;
  for (const std::string& file : o.files) {
    const auto done = ask(o.mount, "kldload " + absolute_driver(file));
    if (done) {
      if (o.verbose) fmt::print("Loaded {}, id={}\n", file, *done);
      continue;
    }
    if (o.maybe && done.error().code == std::errc::file_exists) continue;
    status = kNo;
    if (!o.quiet) fmt::print(stderr, "{}\n", done.error().text);
  }
  return status;
}

int kldunload(const Kld& o) {
  std::vector<std::string> names = o.files;
  if (o.id >= 0) names.push_back(std::to_string(o.id));
  if (names.empty()) {
    return complain("kldunload", {{}, "which? accepted: a file's or module's name, or -i ID"},
                    kUsage);
  }
  int status = kYes;
  for (const std::string& name : names) {
    if (o.verbose) fmt::print("Unloading {}\n", name);
    const auto done = ask(o.mount, (o.force ? "kldunload-force " : "kldunload ") + name);
    if (done) continue;
    status = kNo;
    fmt::print(stderr, "{}\n", done.error().text);
  }
  return status;
}

int kldstat(const Kld& o) {
  const auto answer = ask(o.mount, "kldstat");
  if (!answer) return complain("kldstat", answer.error(), kUsage);
  std::vector<dev::ModuleRow> rows = dev::parse_rows(*answer);
  const std::string module = dev::format_module(rows, o.module);
  const auto wanted = [&](const dev::ModuleRow& row) {
    return (o.id < 0 || row.id == o.id) &&
           (o.file.empty() || row.name == o.file || row.name == o.file + ".so") &&
           (o.module.empty() ||
            std::find(row.modules.begin(), row.modules.end(), o.module) != row.modules.end());
  };
  std::erase_if(rows, [&](const dev::ModuleRow& row) { return !wanted(row); });
  const bool asks = !o.module.empty() || !o.file.empty() || o.id >= 0;
  if (asks && rows.empty()) {
    const std::string what = !o.module.empty() ? "module " + o.module
                             : !o.file.empty() ? "file " + o.file
                                               : fmt::format("file {}", o.id);
    if (!o.quiet) fmt::print(stderr, "kldstat: can't find {}: No such file or directory\n", what);
    return kNo;
  }
  if (o.quiet) return kYes;
  if (o.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const dev::ModuleRow& row : rows) {
      all.push_back({{"id", row.id},
                     {"refs", 1},
                     {"address", fmt::format("{:#x}", row.address)},
                     {"size", row.size},
                     {"name", row.name},
                     {"modules", row.modules}});
    }
    fmt::print("{}", to_text(all));
    return kYes;
  }
  const auto detail = o.verbose ? dev::Detail::Modules : dev::Detail::Files;
  fmt::print("{}", module.empty() ? dev::format_rows(rows, detail) : module);
  return kYes;
}

int print_answer(const char* who, const std::string& mount, const std::string& line) {
  const auto answer = ask(mount, line);
  if (!answer) return complain(who, answer.error(), kUsage);
  fmt::print("{}", *answer);
  return kYes;
}

constexpr uint64_t kMostId = std::numeric_limits<int>::max();  // Of a file in kldstat.

void define_kldload(CLI::App& app, Kld& o) {
  app.footer("Example:\n  kldload echo\n  kldload ./mydriver.so");
  app.add_option("file", o.files, "Driver names, or paths with a slash")->required();
  app.add_flag("-n", o.maybe, "It may be loaded already");
  app.add_flag("-q", o.quiet, "Say nothing when it fails");
  app.add_flag("-v", o.verbose, "Say what was done");
}

void define_kldunload(CLI::App& app, Kld& o) {
  app.footer("Example:\n  kldunload echo\n  kldunload -i 2");
  app.add_option("name", o.files, "File or module names");
  app.add_option("-i", o.id, "By its id in kldstat")->transform(whole_number(0, kMostId));
  app.add_flag("-n", o.maybe, "By name, as without it");
  app.add_flag("-f", o.force, "Do not ask the driver first (MOD_QUIESCE)");
  app.add_flag("-v", o.verbose, "Say what is done");
}

void define_kldstat(CLI::App& app, Kld& o) {
  app.footer("Example:\n  kldstat\n  kldstat -q -m echodev && echo it is loaded");
  app.add_option("-m", o.module, "This module; exit status 1 when there is none");
  app.add_option("-n", o.file, "The file of this name");
  app.add_option("-i", o.id, "The file with this id")->transform(whole_number(0, kMostId));
  app.add_flag("-q", o.quiet, "Print nothing");
  app.add_flag("-v", o.verbose, "With the modules in each file");
  app.add_flag("--json", o.json, "A JSON array of files");
}

struct Program {
  const char* name;
  const char* does;
  void (*define)(CLI::App&, Kld&);
  int (*run)(const Kld&);
};

void define_vmstat(CLI::App& app, Kld& o) {
  app.footer("Example:\n  vmstat -m | egrep 'Type|echo'");
  auto* what = app.add_option_group("what");
  what->add_flag("-m", o.memory, "Memory by malloc type");
  what->add_flag("-s", o.sums, "What was counted since the mount was made");
  what->require_option(1);
}
int vmstat(const Kld& o) {
  return print_answer("vmstat", o.mount, o.sums ? "sums" : "vmstat");
}
void define_none(CLI::App& app, Kld&) {
  app.footer("Example:\n  wh dev " + app.get_name() + " --mount /tmp/dev");
}
int list(const Kld& o) {
  return print_answer("wh dev ls", o.mount, "ls");
}
int dmesg(const Kld& o) {
  return print_answer("wh dev dmesg", o.mount, "dmesg");
}

constexpr Program kPrograms[] = {
    {"kldload", "Load a driver", define_kldload, kldload},
    {"kldunload", "Unload a driver", define_kldunload, kldunload},
    {"kldstat", "Show what is loaded", define_kldstat, kldstat},
    {"vmstat", "Show the memory of each malloc type, or what was counted", define_vmstat, vmstat},
    {"ls", "List the devices as FreeBSD does", define_none, list},
    {"dmesg", "Print what drivers and the kernel said", define_none, dmesg},
};

void define(CLI::App& app, const Program& program, Kld& options) {
  if (const char* given = std::getenv("WH_DEV"); given != nullptr) options.mount = given;
  app.add_option("--mount", options.mount, "The mount to talk to [$WH_DEV]");
  program.define(app, options);
  refuse_empty(app);
}

}  // namespace

int dev_main(int argc, char** argv) {
  CLI::App app("Character devices: a driver's kernel, reachable by real programs.", "wh dev");
  app.footer(kDevFooter);
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, std::function<int()>>> commands;
  const auto command = [&](const char* name, const char* does, std::function<int()> run) {
    commands.emplace_back(app.add_subcommand(name, does), std::move(run));
    return commands.back().first;
  };
  MountFlags flags;
  define_mount(*command("mount", "Serve devices on a directory", [&] { return mount(flags); }),
               flags);
  std::string directory;
  define_umount(
      *command("umount", "End the drivers, then the mount", [&] { return umount(directory); }),
      directory);
  ShellFlags shell;
  CLI::App* s = command("shell", "Run a program that finds the devices in /dev",
                        [&] { return status_of("wh dev shell", run_dev_shell(shell)); });
  define_shell(*s, shell);
  TestFlags test;
  define_test(*command("test", "Run a driver through the conformance suite",
                       [&] { return status_of("wh dev test", run_driver_tests(test)); }),
              test);
  std::string name;
  CLI::App* n = command("new", "Start a driver: a folder that compiles and passes", [&] {
    return status_of("wh dev new", make_driver(name).map([] { return kYes; }));
  });
  n->footer("Example:\n  wh dev new mine && make -C mine test");
  n->add_option("name", name, "Of the driver and its folder")->required();
  for (const auto& [made, run] : commands) refuse_empty(*made);
  command("cflags", "Print the compiler's flags that make a driver", [] {
    fmt::print("{}\n", fmt::join(driver_flags(), " "));
    return kYes;
  })->footer("Example:\n  cc $(wh dev cflags) -o mine.so mine.c");
  Kld options;
  for (const Program& program : kPrograms) {
    define(*command(program.name, program.does, [&] { return program.run(options); }), program,
           options);
  }
  if (const auto status = parse(app, argc, argv)) return *status;
  shell.command = s->remaining();
  for (const auto& [parsed, run] : commands) {
    if (parsed->parsed()) return run();
  }
  return kUsage;
}

// kldload, kldunload, kldstat and vmstat by their own names.
int dev_program_main(int argc, char** argv) {
  const std::string name = std::filesystem::path(argv[0]).filename();
  for (const Program& program : kPrograms) {
    if (name != program.name) continue;
    CLI::App app(program.does, name);
    Kld options;
    define(app, program, options);
    if (const auto status = parse(app, argc, argv)) return *status;
    return program.run(options);
  }
  return kUsage;
}

}  // namespace wh::apps
