#include "router/process.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>

#include "core/virtual_loop.h"
#include "host/child.h"
#include "host/entropy.h"
#include "host/system.h"
#include "router/client.h"
#include "router/configuration.h"
#include "router/metrics.h"
#include "router/server.h"
#include "router/workers.h"

namespace wh::router {
namespace {

uint64_t cycles_now() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  uint64_t ticks;
  asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#else
  return 0;
#endif
}

Duration wall_now() {
  return std::chrono::system_clock::now().time_since_epoch();
}

class Process {
 public:
  explicit Process(host::RealLoop& loop)
      : loop_(loop),
        ports_(loop),
        router_({.cycles = cycles_now, .wall = wall_now, .seed = host::entropy()}, loop, ports_),
        line_(router_),
        server_(line_, loop) {
    router_.on_quit([this] { end(); });
  }

  Result<int> run(const Startup& startup) {
    TRY(prepare(startup));
    if (startup.cli_listen) TRY(server_.listen(*startup.cli_listen));
    // Not before: of a router that runs already, and listens there, the file stays as it is.
    const auto pidfile = TRY(PidFile::write(startup.pidfile));
    const auto signals = TRY(host::SignalWatch::make(loop_, {SIGTERM, SIGINT}, [&](int signal) {
      // At a prompt Ctrl-C is meant for what was typed there.
      if (signal == SIGTERM || !startup.interactive) end();
    }));
    router_.set_plugin_path(startup.plugin_path);
    if (startup.workers != 0) {
      ports_.set_receive(HostPorts::Receive::None);
      using Placement = Workers::Placement;
      workers_ = TRY(Workers::start(
          {.count = startup.workers,
           .placement = startup.places_interfaces ? Placement::Interface : Placement::Flow,
           .cores = startup.worker_cores,
           .seed = host::entropy(),
           .cycles = cycles_now,
           .wall = wall_now,
           .plugin_path = startup.plugin_path},
          line_, loop_));
    }
    // Not before: a thread begins where its maker may run.
    if (startup.main_core) TRY(host::run_on_core(*startup.main_core));
    for (const Startup::Plugin& plugin : startup.plugins) {
      auto loaded = line_.run("plugin load " + quote_word(plugin.name));
      if (!loaded) return tl::unexpected(std::move(loaded.error()).within(plugin.place));
    }
    if (startup.metrics_port) {
      metrics_ = TRY(MetricsServer::open(router_, loop_, *startup.metrics_port));
    }
    if (startup.startup_config) {
      TRY(load(*startup.startup_config));
    }
    if (startup.exec) TRY(run_to_end("exec " + quote_word(*startup.exec)));
    if (is_ending_) return 0;
    std::unique_ptr<host::Child> prompt;
    if (startup.interactive) prompt = TRY(start_prompt(startup.banner));
    // Something may happen for as long as the process lives.
    if (workers_ == nullptr) loop_.on_wake([] {});
    loop_.run();
    // With workers, its parts are not one file yet.
    if (workers_ && router_.pcap().is_on()) TRY(line_.run("pcap trace off"));
    // It may be in the middle of a line, and puts the terminal right.
    if (prompt && prompt->is_running()) prompt->kill(SIGTERM), prompt->wait();
    return 0;
  }

 private:
  // Also of a script at its start, which has the loop to itself until it is done.
  void end() {
    is_ending_ = true;
    loop_.stop();
  }

  // The file that says which process this is, gone with it.
  class PidFile {
   public:
    // Null when there is to be none.
    static Result<std::unique_ptr<PidFile>> write(const std::optional<std::string>& path) {
      if (!path) return nullptr;
      TRY(host::write_file(*path, fmt::format("{}\n", ::getpid())));
      return std::unique_ptr<PidFile>(new PidFile(*path));
    }
    ~PidFile() { ::unlink(path_.c_str()); }
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;

   private:
    explicit PidFile(std::string path) : path_(std::move(path)) {}
    std::string path_;
  };

  // What must be possible is tried before anything begins.
  Result<void> prepare(const Startup& startup) {
    for (const uint32_t core : startup.worker_cores) TRY(host::check_core(core));
    if (startup.main_core) TRY(host::check_core(*startup.main_core));
    if (startup.prompt) line_.set_prompt(*startup.prompt);
    if (startup.log) TRY(open_log(*startup.log, startup.text));
    return {};
  }

  // Each line as it is given, behind its time; the first says how the router was started.
  Result<void> open_log(const std::string& path, std::string_view beginning) {
    log_ = TRY(host::open_file(path, O_WRONLY | O_CREAT | O_APPEND));
    TRY(write_log(beginning));
    line_.on_line([this, path](std::string_view line) {
      if (!log_) return;
      if (const auto written = write_log(line); !written) {
        std::cerr << fmt::format("log {}: {}; no more is written\n", path, written.error().text);
        log_ = host::Fd();
      }
    });
    return {};
  }
  Result<void> write_log(std::string_view line) {
    const auto now =
        std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    std::string one(line);
    std::replace(one.begin(), one.end(), '\n', ' ');
    return host::write_all(log_.raw(), fmt::format("{:%F %T} {}\n", now, one));
  }

  // At once: there is nothing to forward yet, and whoever connects is answered when it is done.
  Result<void> load(const std::string& file) {
    const std::string text = TRY(host::read_file(file));
    const auto target = TRY(try_configuration(router_, text, file));
    const auto changes =
        TRY(apply_configuration(line_, target, [&](const std::string& one, std::string& place) {
          return find_place(router_, text, file, one, place);
        }));
    std::cout << format(changes) << std::flush;
    return {};
  }

  // Runs a line to its end, with the loop. Error: the command's.
  Result<void> run_to_end(const std::string& line) {
    Result<void> result;
    auto activity = line_.execute(line, {[](std::string_view text) { std::cout << text; },
                                         [&](Result<Answer> answer) {
                                           if (answer) std::cout << answer->text();
                                           if (!answer) result = tl::unexpected(answer.error());
                                           loop_.stop();
                                         }});
    if (activity) loop_.run();
    std::cout << std::flush;
    return result;
  }

  // The prompt is a client in a process of its own, which may block.
  Result<std::unique_ptr<host::Child>> start_prompt(bool banner) {
    auto [ours, theirs] = TRY(host::make_socket_pair(SOCK_STREAM));
    const int raw = theirs.raw();
    if (banner) std::cout << "wheelhouse v" WH_VERSION " vector router\n\n" << std::flush;
    auto child = std::make_unique<host::Child>(
        TRY(host::Child::run({.name = "prompt", .keep = {raw}}, [raw] {
          // Sound: the child owns the descriptor it was told to keep.
          return Client(host::Fd(raw)).interact();
        })));
    TRY(server_.serve(std::move(ours), [this] { loop_.stop(); }));
    return child;
  }

  host::RealLoop& loop_;
  bool is_ending_ = false;
  host::Fd log_;
  HostPorts ports_;
  Router router_;
  CommandLine line_;
  std::unique_ptr<Workers> workers_;
  Server server_;
  std::unique_ptr<MetricsServer> metrics_;
};

}  // namespace

Result<int> run_router(const Startup& startup) {
  // What is freed is put together with its neighbours at once. Otherwise malloc does so for all at
  // a time: 80 ms in which nothing is forwarded, after a configuration of a million lines.
  ::mallopt(M_MXFAST, 0);
  const auto loop = TRY(host::RealLoop::make());
  Process process(*loop);
  return process.run(startup);
}

std::string schema_text() {
  VirtualLoop loop;
  PaperPorts ports(loop);
  Router router({}, loop, ports);
  return CommandLine(router).schema().dump(2);
}

}  // namespace wh::router
