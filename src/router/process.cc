#include "router/process.h"

#include <sys/socket.h>

#include <csignal>
#include <iostream>

#include "core/virtual_loop.h"
#include "host/child.h"
#include "host/system.h"
#include "router/client.h"
#include "router/server.h"

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

class Process {
 public:
  explicit Process(host::RealLoop& loop)
      : loop_(loop),
        ports_(loop),
        router_({.cycles = cycles_now, .seed = cycles_now()}, loop, ports_),
        line_(router_),
        server_(line_, loop) {
    router_.on_quit([this] { loop_.stop(); });
  }

  Result<int> run(const Startup& startup) {
    if (startup.cli_listen) TRY_VOID(server_.listen(*startup.cli_listen));
    const auto signals = TRY(host::SignalWatch::make(loop_, {SIGTERM, SIGINT}, [&](int signal) {
      // At a prompt Ctrl-C is meant for what was typed there.
      if (signal == SIGTERM || !startup.interactive) loop_.stop();
    }));
    if (startup.exec) TRY_VOID(execute_script(*startup.exec));
    std::unique_ptr<host::Child> prompt;
    if (startup.interactive) prompt = TRY(start_prompt(startup.banner));
    // Something may happen for as long as the process lives.
    loop_.on_wake([] {});
    loop_.run();
    return 0;
  }

 private:
  // The lines of a script, one after the other; the first that fails ends the start.
  Result<void> execute_script(const std::string& path) {
    const std::string text = TRY(host::read_file(path));
    size_t number = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find('\n', at), text.size());
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      ++number;
      auto answer = line_.run(line);
      if (!answer) {
        return tl::unexpected(std::move(answer.error()).within(fmt::format("{}:{}", path, number)));
      }
      std::cout << answer->text() << std::flush;
    }
    return {};
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
    TRY_VOID(server_.serve(std::move(ours), [this] { loop_.stop(); }));
    return child;
  }

  host::RealLoop& loop_;
  HostPorts ports_;
  Router router_;
  CommandLine line_;
  Server server_;
};

}  // namespace

Result<int> run_router(const Startup& startup) {
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
