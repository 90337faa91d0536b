#include "kyua/case_process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>

#include "host/system.h"
#include "kyua/execenv.h"
#include "kyua/isolation.h"
#include "kyua/requirements.h"
#include "kyua/stack_trace.h"
#include "kyua/supervisor.h"

namespace wh::kyua {
namespace {

constexpr Duration kListLimit = 300s, kCleanupLimit = 60s, kTraceLimit = 60s;
constexpr Bytes kResultFileLimit = 64_KiB;

// The steps of one case. Each member function is one of them.
class CaseRun {
 public:
  CaseRun(const CaseJob& job, Supervisor& supervisor, WorkFolder& folder)
      : job_(job),
        protocol_(protocol_of(job.program->interface)),
        supervisor_(supervisor),
        folder_(folder),
        metadata_(job.test_case ? job.program->metadata.under(job.test_case->metadata)
                                : Metadata{}),
        variables_(job.config->variables_of(job.program->suite)) {}

  CaseOutcome list() {
    if (auto made = folder_.make(std::nullopt); !made) return without_folder(made.error());
    HostExecEnv host;
    const auto command = protocol_.list_command(*job_.program, variables_);
    CHECK(command.has_value());
    auto ended = run(host, *command, kListLimit);
    if (ended) outcome_.ended = *ended;
    finish(host);
    if (!ended) return broken(ended.error().text);
    outcome_.was_interrupted = supervisor_.was_interrupted();
    outcome_.result = {Verdict::Passed};
    return outcome_;
  }

  CaseOutcome run_all() {
    stamp(outcome_.start);
    const Machine machine = this_machine(job_.temporary);
    if (const auto reason =
            unmet_requirement(metadata_, *job_.config, job_.program->suite, machine)) {
      stamp(outcome_.end);
      outcome_.result = {Verdict::Skipped, *reason};
      return outcome_;
    }
    if (metadata_.get("required_user") == "unprivileged" && machine.is_root) {
      user_ = job_.config->unprivileged_user;
    }
    if (auto made = folder_.make(user_); !made) return without_folder(made.error());
    const auto env = make_execenv(*job_.program, job_.test_case->name, metadata_);
    body(*env);
    if (metadata_.flag("has_cleanup") && has_started_) cleanup(*env);
    finish(*env);
    outcome_.was_interrupted = supervisor_.was_interrupted();
    return outcome_;
  }

 private:
  void stamp(WallTime& time) { time = job_.calendar->at(supervisor_.loop().clock()); }

  CaseOutcome broken(std::string reason) {
    if (outcome_.end < outcome_.start) outcome_.end = outcome_.start;
    outcome_.result = {Verdict::Broken, std::move(reason)};
    return outcome_;
  }

  // A later step's failure spoils a good result only.
  void spoil(std::string reason) {
    if (outcome_.result.is_good()) outcome_.result = {Verdict::Broken, std::move(reason)};
  }

  void say(const std::string& line) {
    // The text is for people who look for a cause; a full disk is reported by what comes later.
    (void)host::write_all(job_.err >= 0 ? job_.err : STDERR_FILENO, line + "\n");
  }

  CaseOutcome without_folder(const Error& error) {
    (void)folder_.clear();  // As far as it was made; the reason is known already.
    return broken(error.text);
  }

  Result<Ended> run(ExecEnv& env, const Command& command, std::optional<Duration> limit) {
    return run(env, command, limit, job_.out, user_);
  }
  Result<Ended> run(ExecEnv& env, const Command& command, std::optional<Duration> limit, int out,
                    const std::optional<User>& user) {
    const Isolation isolation(command, folder_.work(), out, job_.err, user);
    const pid_t pid = TRY(env.start([&] { isolation.become_test(); }));
    Supervisor::Limits limits{limit, job_.output_limit, job_.process_limit, job_.out, job_.err};
    if (job_.is_live) limits.out = limits.err = -1;
    return supervisor_.wait(pid, limits);
  }

  // What is not the case's own runs as whom this process runs as, and writes no output of the case.
  ExecEnv::Run runner(ExecEnv& env, std::optional<Duration> limit) {
    return [this, &env, limit](const std::vector<std::string>& words) {
      return run(env, {words}, limit, job_.err, std::nullopt);
    };
  }

  void body(ExecEnv& env) {
    if (auto ready = env.init(runner(env, metadata_.timeout())); !ready) {
      say(ready.error().text);
      stamp(outcome_.end);
      // As under Kyua, the child that could not enter exits with status 1.
      outcome_.result = protocol_.judge(Ended{.code = 1}, "", std::nullopt);
      return;
    }
    has_started_ = true;
    const Command command = protocol_.run_command(*job_.program, job_.test_case->name, variables_,
                                                  folder_.result_file());
    const auto ended = run(env, command, metadata_.timeout());
    stamp(outcome_.end);
    outcome_.usage = supervisor_.usage();
    if (!ended) {
      outcome_.result = {Verdict::Broken, ended.error().text};
    } else if (supervisor_.was_multiplying()) {
      outcome_.result = {Verdict::Broken, fmt::format("Test case started more than {} processes",
                                                      job_.process_limit)};
    } else if (supervisor_.was_too_loud()) {
      outcome_.result = {Verdict::Broken, fmt::format("Test case wrote more than {} of output",
                                                      format_size(job_.output_limit))};
    } else {
      outcome_.result = protocol_.judge(*ended, read_output(), read_result());
    }
    if (ended && ended->has_core) trace(command, *ended);
    if (outcome_.result.is_good()) return;
    const auto left = folder_.leftovers();
    if (!left.empty()) {
      say(fmt::format("Files left in work directory after failure: {}", fmt::join(left, ", ")));
    }
  }

  // Adds the stacks of a program that dumped core to its standard error.
  void trace(const Command& command, const Ended& ended) {
    say(fmt::format(
        "Process with PID {} exited with signal {} and dumped core; attempting to gather stack "
        "trace",
        supervisor_.child(), ended.signal));
    const auto core = find_core(folder_.work());
    if (!core) return say("Cannot find any core file");
    HostExecEnv host;
    const auto traced =
        run(host, trace_command(command.arguments[0], *core), kTraceLimit, job_.err, user_);
    if (!traced || traced->code != 0 || traced->signal != 0 || traced->has_timed_out) {
      say("gdb failed to gather the stack trace");
    }
  }

  std::string read_output() const {
    std::string text;
    if (!protocol_.reads_output() || job_.is_live) return text;
    std::array<char, 65536> part;
    for (off_t at = 0;;) {
      const ssize_t n = ::pread(job_.out, part.data(), part.size(), at);
      if (n <= 0) return text;
      text.append(part.data(), static_cast<size_t>(n));
      at += n;
    }
  }

  std::optional<std::string> read_result() const {
    // Not through a link or from a pipe that the test may have put there.
    const host::Fd file(
        ::open(folder_.result_file().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file) return std::nullopt;
    std::string text(static_cast<size_t>(kResultFileLimit.count()), '\0');
    const ssize_t n = ::read(file.raw(), text.data(), text.size());
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return text;
  }

  void cleanup(ExecEnv& env) {
    supervisor_.ignore_lifeline();
    pause();
    const auto command = protocol_.cleanup_command(*job_.program, job_.test_case->name, variables_,
                                                   folder_.result_file());
    const Ended none{.code = 1};
    const auto ended = command ? run(env, *command, kCleanupLimit) : Result<Ended>(none);
    if (ended && ended->has_timed_out) {
      spoil("Test case cleanup timed out");
    } else if (!ended || ended->code != 0 || ended->signal != 0) {
      spoil("Test case cleanup did not terminate successfully");
    }
  }

  void pause() {
    if (!job_.pause_before_cleanup) return;
    if (job_.pause_only_if_bad && outcome_.result.is_good()) return;
    say(fmt::format("The test {} and paused right before its cleanup routine.",
                    outcome_.result.is_good() ? "passed" : "failed"));
    say(fmt::format("Test work dir: {}\nPress any key to continue...", folder_.work()));
    char key;
    // Whatever ends the wait, an end of input too, goes on.
    [[maybe_unused]] const ssize_t n = ::read(STDIN_FILENO, &key, 1);
  }

  void finish(ExecEnv& env) {
    supervisor_.ignore_lifeline();  // What is to be undone is.
    if (auto gone = env.cleanup(runner(env, kCleanupLimit)); !gone) {
      say(gone.error().text);
      spoil("Test case execenv cleanup did not terminate successfully");
    }
    if (auto ended = Supervisor::end_stragglers(); !ended) spoil(ended.error().text);
    if (auto cleared = folder_.clear(); !cleared) {
      spoil(fmt::format("Failed to clean up test case's work directory: {}", cleared.error().text));
    }
  }

  const CaseJob& job_;
  const Protocol& protocol_;
  Supervisor& supervisor_;
  WorkFolder& folder_;
  Metadata metadata_;  // The case's over its program's.
  Variables variables_;
  std::optional<User> user_;
  CaseOutcome outcome_;
  bool has_started_ = false;
};

}  // namespace

CaseOutcome run_case(const CaseJob& job, WorkPlace place) {
  Supervisor supervisor(place.loop, place.lifeline);
  CaseRun run(job, supervisor, place.folder);
  return job.test_case == nullptr ? run.list() : run.run_all();
}

std::string encode(const CaseOutcome& o) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {}\n{}", to_word(o.result.verdict), o.start.us,
                     o.end.us, o.usage.user.count(), o.usage.system.count(),
                     o.usage.peak_memory.count(), o.ended.code, o.ended.signal,
                     int{o.ended.has_core}, int{o.ended.has_timed_out}, int{o.was_interrupted},
                     o.result.reason);
}

Result<CaseOutcome> decode(std::string_view text) {
  const size_t line_end = text.find('\n');
  const auto words = split_words(text.substr(0, line_end));
  constexpr size_t kWords = 11;
  if (line_end == text.npos || words.size() != kWords || !verdict_of(words[0])) {
    return fail("The process that ran the case did not finish");
  }
  std::array<int64_t, kWords> number{};
  for (size_t i = 1; i < kWords; ++i) number[i] = TRY(parse_int(words[i]));
  CaseOutcome o;
  o.result = {*verdict_of(words[0]), std::string(text.substr(line_end + 1))};
  o.start = {number[1]};
  o.end = {number[2]};
  o.usage = {Duration(number[3]), Duration(number[4]), Bytes(number[5])};
  o.ended = {static_cast<int>(number[6]), static_cast<int>(number[7]), number[8] != 0,
             number[9] != 0};
  o.was_interrupted = number[10] != 0;
  return o;
}

}  // namespace wh::kyua
