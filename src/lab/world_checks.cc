// What runs in a world: programs that must become ready, and checks that must hold.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "host/child.h"
#include "host/system.h"
#include "lab/world.h"

namespace wh::lab {
namespace {

constexpr Duration kSlice = 20ms;

// What a program has printed so far, its last part.
std::string printed(const host::Fd& output) {
  std::string text(65536, '\0');
  const off_t size = ::lseek(output.raw(), 0, SEEK_END);
  const off_t from = std::max<off_t>(0, size - static_cast<off_t>(text.size()));
  const ssize_t n = ::pread(output.raw(), text.data(), text.size(), from);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return text;
}

// From what waitpid() said.
host::ExitStatus exit_status(int status) {
  if (WIFSIGNALED(status)) return {.signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status)};
}

std::string last_lines(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  size_t at = text.size();
  constexpr int kLines = 3;
  for (int i = 0; i < kLines && at != text.npos && at > 0; ++i) at = text.rfind('\n', at - 1);
  return at == text.npos || at == 0 ? text : text.substr(at + 1);
}

}  // namespace

bool World::run_until(const std::function<bool()>& condition, Instant deadline) {
  while (!condition()) {
    if (loop_.clock() >= deadline) return false;
    loop_.run_until(std::min(deadline, loop_.clock() + kSlice));
  }
  return true;
}

Result<World::Program> World::start(const std::string& host, const std::string& command) {
  Program program{-1, host::Fd(::memfd_create("output", MFD_CLOEXEC))};
  if (!program.output) return host::os_error("memfd_create");
  const int out = program.output.raw();
  program.pid = TRY(jails_.at(host).jail.start([&] {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const host::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ::dup2(null.raw(), STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }));
  return program;
}

Result<void> World::start_programs() {
  for (const ProgramSpec& spec : topology_.programs) {
    Program program = TRY(start(spec.host, spec.command));
    int status = 0;
    bool has_ended = false;
    const auto is_ready = [&] {
      return spec.ready.empty() || printed(program.output).find(spec.ready) != std::string::npos;
    };
    const auto settled = [&] {
      has_ended = has_ended || ::waitpid(program.pid, &status, WNOHANG) != 0;
      return has_ended || is_ready();
    };
    const bool is_settled = run_until(settled, loop_.clock() + spec.within);
    // One that has done its work and is over is ready, too.
    if (has_ended && !(exit_status(status).is_success() && is_ready())) {
      std::string why = host::to_string(exit_status(status));
      if (!is_ready()) why += fmt::format(", and it had not printed '{}'", spec.ready);
      const std::string said = last_lines(printed(program.output));
      return fail("program '{}' on {} ended at once: {}{}{}", spec.command, spec.host, why,
                  said.empty() ? "" : ": ", said);
    }
    if (!is_settled) {
      return fail("program '{}' on {} did not print '{}' within {}", spec.command, spec.host,
                  spec.ready, wh::to_string(spec.within));
    }
    programs_.push_back(std::move(program));
  }
  return {};
}

Result<void> World::hold(const CheckSpec& check) {
  if (!check.flow.empty()) return hold_flow(check);
  if (check.ping && stack_of(check.host) != nullptr) return hold_ping(check);
  return hold_command(check);
}

// From a stack of ours.
Result<void> World::hold_ping(const CheckSpec& check) {
  const Instant deadline = loop_.clock() + check.within;
  vnet::PingStatistics seen;
  while (loop_.clock() < deadline) {
    vnet::Ping ping(*stack_of(check.host),
                    {.destination = *check.ping, .count = check.count, .interval = 100ms}, {});
    if (auto started = ping.start(); !started) return started;
    run_until([&] { return ping.is_done(); }, deadline);
    seen = ping.statistics();
    if (seen.received >= check.count) return {};
  }
  return fail("{} of {} replies", seen.received, check.count);
}

Result<void> World::hold_command(const CheckSpec& check) {
  const std::string command = check.ping ? fmt::format("ping -n -c {} -i 0.2 -W 1 {}", check.count,
                                                       net::to_string(*check.ping))
                                         : check.command;
  const Instant deadline = loop_.clock() + check.within;
  std::string why;
  while (loop_.clock() < deadline) {
    Program program = TRY(start(check.host, command));
    int status = 0;
    const bool has_ended =
        run_until([&] { return ::waitpid(program.pid, &status, WNOHANG) != 0; }, deadline);
    if (!has_ended) {
      ::kill(-program.pid, SIGKILL);
      ::kill(program.pid, SIGKILL);
      ::waitpid(program.pid, &status, 0);
      // What an attempt that ended had to say is worth more.
      if (why.empty()) why = fmt::format("it did not end within {}", wh::to_string(check.within));
      break;
    }
    const std::string text = printed(program.output);
    const bool is_good = exit_status(status).is_success();
    if (is_good && text.find(check.output) != std::string::npos) return {};
    why = is_good ? fmt::format("'{}' is not in its output", check.output)
                  : host::to_string(exit_status(status));
    if (const std::string said = last_lines(text); !said.empty()) why += ": " + said;
    const Instant again = std::min(deadline, loop_.clock() + 100ms);
    run_until([] { return false; }, again);
  }
  return fail("{}", why);
}

// Flows have had the whole of the run by the time they are asked.
Result<void> World::hold_flow(const CheckSpec& check) {
  run_until([] { return false; }, started_ + topology_.duration);
  std::vector<std::string> names;
  for (const auto& flow : flows_) {
    names.push_back(flow->name());
    if (flow->name() != check.flow) continue;
    if (const std::string why = flow->failure(); !why.empty()) return fail("{}", why);
    const Rate got = flow->report().goodput;
    if (got >= check.goodput) return {};
    return fail("it got {}", to_string(got));
  }
  return fail("there is no flow '{}'; accepted: {}", check.flow, fmt::join(names, ", "));
}

}  // namespace wh::lab
