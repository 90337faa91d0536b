#include "kyua/supervisor.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>

#include "host/system.h"
#include "kyua/text.h"

namespace wh::kyua {
namespace {

constexpr Duration kOutputCheckInterval = 100ms;

Duration to_duration(const timeval& t) {
  return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
}

// Both the group and its leader, which may not have become one yet.
void kill_group(pid_t leader) {
  ::kill(-leader, SIGKILL);
  ::kill(leader, SIGKILL);
}

uint32_t tasks_of_machine() {
  struct sysinfo info {};
  return ::sysinfo(&info) == 0 ? info.procs : 0;
}

// Living processes below this one, whatever groups and sessions they have made.
uint32_t count_descendants() {
  std::map<int64_t, int64_t> parents;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end;
       it.increment(error)) {
    const auto pid = parse_int(it->path().filename().string());
    const auto stat = pid ? host::read_file(it->path().string() + "/stat") : fail("no process");
    // "PID (NAME) STATE PARENT ...", and a name may hold anything.
    const size_t name_end = stat ? stat->rfind(") ") : std::string::npos;
    if (name_end == std::string::npos) continue;
    const auto words = split_words(stat->substr(name_end + 1, 64));
    if (words.size() > 1) parents[*pid] = parse_int(words[1]).value_or(0);
  }
  uint32_t count = 0;
  for (auto [pid, parent] : parents) {
    constexpr int kDeepest = 4096;
    for (int depth = 0; parent > 1 && depth < kDeepest; ++depth) {
      if (parent == ::getpid()) {
        ++count;
        break;
      }
      const auto at = parents.find(parent);
      parent = at == parents.end() ? 0 : at->second;
    }
  }
  return count;
}

// Waits for the dead that this subreaper has been given, as process 1 would: else a test that looks
// whether a process is gone finds it for as long as the test runs.
void reap_adopted(pid_t child) {
  siginfo_t info{};
  while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
         info.si_pid != child) {
    ::waitpid(info.si_pid, nullptr, WNOHANG);
    info.si_pid = 0;
  }
}

}  // namespace

bool Supervisor::is_too_loud(const Limits& limits) const {
  for (const int fd : {limits.out, limits.err}) {
    struct stat info {};
    if (fd >= 0 && ::fstat(fd, &info) == 0 && info.st_size > limits.output.count()) return true;
  }
  return false;
}

Result<Ended> Supervisor::wait(pid_t child, const Limits& limits) {
  const host::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!process) return host::os_error("pidfd_open");
  Ended ended;
  bool has_ended = false;
  host::FdWatch life(loop_, "lifeline", [&] {
    was_interrupted_ = true;
    kill_group(child);
    life.unwatch();
    return host::Progress::Some;
  });
  host::FdWatch end(loop_, "case", [&] {
    has_ended = true;
    loop_.stop();
    return host::Progress::Some;
  });
  Timer late(loop_, [&] {
    ended.has_timed_out = true;
    kill_group(child);
  });
  const uint32_t tasks_before = tasks_of_machine();
  Timer loud(loop_, [&] {
    loud.arm(loop_.now() + kOutputCheckInterval);
    reap_adopted(child);
    was_too_loud_ = was_too_loud_ || is_too_loud(limits);
    // The machine's number is cheap to have; only when it has grown is it worth counting ours.
    was_multiplying_ = was_multiplying_ || (tasks_of_machine() > tasks_before + limits.processes &&
                                            count_descendants() > limits.processes);
    if (was_too_loud_ || was_multiplying_) kill_group(child);
  });
  TRY(end.watch(process.raw()));
  if (lifeline_ >= 0) TRY(life.watch(lifeline_));
  if (limits.time) late.arm(loop_.clock() + *limits.time);
  loud.arm(loop_.clock() + kOutputCheckInterval);
  while (!has_ended) loop_.run();
  end.unwatch();
  life.unwatch();
  was_too_loud_ = was_too_loud_ || is_too_loud(limits);
  const Ended status = reap(child);
  // What stayed in its group ends with it.
  ::kill(-child, SIGKILL);
  ended.code = status.code;
  ended.signal = status.signal;
  ended.has_core = status.has_core;
  return ended;
}

Ended Supervisor::reap(pid_t child) {
  int status = 0;
  rusage used{};
  child_ = child;
  const pid_t got = host::uninterrupted([&] { return ::wait4(child, &status, 0, &used); });
  CHECK_EQ(got, child);
  usage_ = {to_duration(used.ru_utime), to_duration(used.ru_stime),
            Bytes(int64_t{used.ru_maxrss} * 1024)};
  Ended ended;
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) {
    ended.signal = WTERMSIG(status);
    ended.has_core = WCOREDUMP(status);
  }
  return ended;
}

Result<void> Supervisor::end_stragglers(const std::vector<pid_t>& spared) {
  // A killed process hands us its children in turn, so this goes on until none is left. A fork bomb
  // that changes its session each time is outrun, because who is killed does not fork.
  constexpr int kRounds = 10'000;
  for (int round = 0; round < kRounds; ++round) {
    if (spared.empty()) {
      pid_t dead = 0;
      while ((dead = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
      }
      if (dead < 0) return {};  // There are no children, dead or alive.
    }
    const std::string children =
        host::read_file(fmt::format("/proc/self/task/{}/children", ::getpid())).value_or("");
    bool has_more = false, has_living = false;
    for (const std::string& word : split_words(children)) {
      const auto pid = static_cast<pid_t>(parse_int(word).value_or(-1));
      if (pid <= 0 || std::find(spared.begin(), spared.end(), pid) != spared.end()) continue;
      has_more = true;
      kill_group(pid);
      has_living = ::waitpid(pid, nullptr, WNOHANG) == 0 || has_living;
    }
    if (!has_more && !spared.empty()) return {};
    constexpr useconds_t kPatience = 1'000;
    if (has_living) ::usleep(kPatience);
  }
  return fail("The test's processes multiply faster than they can be killed");
}

}  // namespace wh::kyua
