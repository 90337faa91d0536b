#include "kyua/engine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include "host/system.h"
#include "kyua/execenv.h"

namespace wh::kyua {

struct Engine::Slot {
  explicit Slot(Engine& engine)
      : report(engine.loop_, "case", [this, &engine] { return engine.collect(*this); }) {}

  host::Fd out, err;  // Unlinked files, empty between cases.
  host::Fd report_read;
  host::FdWatch report;
  pid_t pid = -1;
  Work work;
  int attempt = 1;
  std::string text;
  bool is_busy() const { return pid >= 0; }
};

namespace {

// A file without a name, for appending.
Result<host::Fd> make_output_file(const std::string& folder) {
  const int raw = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
  if (raw >= 0) return host::Fd(raw);
  std::string name = join_path(folder, "kyua-output." + std::string(6, 'X'));
  host::Fd file(::mkostemp(name.data(), O_APPEND | O_CLOEXEC));
  if (!file) return host::os_error("make a file {}", name);
  ::unlink(name.c_str());
  return file;
}

}  // namespace

Engine::Engine(host::RealLoop& loop, const Config& config, const Calendar& calendar,
               Scanner& scanner, Observer& observer, Options options)
    : loop_(loop),
      config_(config),
      calendar_(calendar),
      scanner_(scanner),
      observer_(observer),
      options_(std::move(options)) {}

Engine::~Engine() {
  CHECK_EQ(running(), 0u);
}

size_t Engine::running() const {
  return static_cast<size_t>(
      std::count_if(slots_.begin(), slots_.end(), [](const auto& s) { return s->is_busy(); }));
}

Result<void> Engine::run() {
  auto pipe = TRY(host::make_pipe());
  lifeline_read_ = std::move(pipe.read_end);
  lifeline_write_ = std::move(pipe.write_end);
  for (int64_t i = 0; i < config_.parallelism; ++i) {
    auto slot = std::make_unique<Slot>(*this);
    slot->out = TRY(make_output_file(options_.temporary));
    slot->err = TRY(make_output_file(options_.temporary));
    slots_.push_back(std::move(slot));
  }
  if (auto started = fill(); !started) failure_ = started;
  while (running() > 0) {
    if (!failure_) stop();
    loop_.run();
  }
  return failure_;
}

void Engine::stop() {
  is_stopping_ = true;
  lifeline_write_.close();
}

// Gives every idle slot work, as far as there is some that may start now.
Result<void> Engine::fill() {
  for (const auto& slot : slots_) {
    while (!slot->is_busy() && !is_stopping_) {
      auto work = scanner_.next();
      if (!work && running() == 0 && scanner_.is_complete()) work = scanner_.next_exclusive();
      if (!work) return {};
      if (work->test_case != nullptr && options_.only_lists) continue;
      if (work->test_case != nullptr && work->test_case->known_result) {
        TRY(report_known(*work));
      } else {
        TRY(start(*slot, *work, 1));
      }
    }
  }
  return {};
}

Result<void> Engine::start(Slot& slot, const Work& work, int attempt) {
  auto pipe = TRY(host::make_pipe());
  slot.work = work;
  slot.attempt = attempt;
  slot.text.clear();
  if (work.test_case != nullptr) {
    observer_.started(*work.program, *work.test_case, static_cast<int>(running()) + 1);
  }
  CaseJob job{work.program, work.test_case, &config_, &calendar_, options_.temporary};
  job.out = slot.out.raw();
  job.err = slot.err.raw();
  job.output_limit = options_.output_limit;
  if (work.test_case != nullptr) {
    job.is_live = options_.is_live;
    job.pause_before_cleanup = options_.pauses;
    job.pause_only_if_bad = options_.pauses_only_if_bad;
    if (job.is_live) job.out = job.err = -1;
    prepare_execenv(work.program->metadata.under(work.test_case->metadata));
  }
  const pid_t pid = ::fork();
  if (pid < 0) return host::os_error("start a process for a test case");
  if (pid == 0) be_case_process(job, pipe.write_end.raw());
  slot.pid = pid;
  slot.report_read = std::move(pipe.read_end);
  return slot.report.watch(slot.report_read.raw());
}

void Engine::be_case_process(const CaseJob& job, int report) {
  // A copy of the writing end here would keep the lifeline whole when the runner dies.
  lifeline_write_.close();
  const std::string text = encode(run_case(job, lifeline_read_.raw()));
  // If the runner is gone, nobody wants it.
  (void)host::write_all(report, text);
  ::_exit(0);
}

host::Progress Engine::collect(Slot& slot) {
  std::array<uint8_t, 4096> part;
  const auto n = host::read_some(slot.report_read.raw(), part);
  if (n && *n > 0) {
    slot.text.append(part.begin(), part.begin() + *n);
    return host::Progress::Some;
  }
  slot.report.unwatch();
  slot.report_read.close();
  auto done = complete(slot);
  if (done && !is_stopping_) done = fill();
  if (!done && failure_) failure_ = std::move(done);
  if (!failure_ || running() == 0) loop_.stop();
  return host::Progress::Some;
}

// The slot's process has closed its report: reaps it and deals with what it found.
Result<void> Engine::complete(Slot& slot) {
  int status = 0;
  host::uninterrupted([&] { return ::waitpid(slot.pid, &status, 0); });
  slot.pid = -1;
  auto decoded = decode(slot.text);
  CaseOutcome outcome;
  if (decoded) {
    outcome = *std::move(decoded);
  } else {
    outcome.start = outcome.end = calendar_.at(loop_.clock());
    outcome.result = {Verdict::Broken, decoded.error().text};
  }
  const bool is_unfinished = !decoded && is_stopping_;
  if (outcome.was_interrupted || is_unfinished) {
    for (const int fd : {slot.out.raw(), slot.err.raw()}) TRY(take_output(fd));
    return {};
  }
  if (slot.work.test_case != nullptr) return complete_case(slot, outcome);
  const std::string out = TRY(take_output(slot.out.raw())), err = TRY(take_output(slot.err.raw()));
  const Protocol& protocol = protocol_of(slot.work.program->interface);
  auto cases = outcome.result.is_good()
                   ? protocol.parse_listing(*slot.work.program, outcome.ended, out, err)
                   : failed_listing(outcome.result.reason);
  scanner_.add_listing(*slot.work.program, std::move(cases));
  return {};
}

Result<void> Engine::complete_case(Slot& slot, const CaseOutcome& outcome) {
  const std::string out = TRY(take_output(slot.out.raw())), err = TRY(take_output(slot.err.raw()));
  const bool is_good = outcome.result.is_good();
  const bool is_final = is_good || slot.attempt > options_.retries || is_stopping_;
  const Finished finished{
      *slot.work.program, *slot.work.test_case, outcome, out, err, slot.attempt, is_final};
  TRY(observer_.finished(finished));
  if (!is_final) return start(slot, slot.work, slot.attempt + 1);
  ++(is_good ? counts_.good : counts_.bad);
  if (finished.is_flaky()) ++counts_.flaky;
  if (!is_good && options_.stops_at_first_bad) stop();
  return {};
}

// A program that could not be listed: its one case is over before it began.
Result<void> Engine::report_known(const Work& work) {
  observer_.started(*work.program, *work.test_case, static_cast<int>(running()));
  CaseOutcome outcome;
  outcome.result = *work.test_case->known_result;
  outcome.start = outcome.end = calendar_.at(loop_.clock());
  TRY(observer_.finished({*work.program, *work.test_case, outcome, "", ""}));
  ++(outcome.result.is_good() ? counts_.good : counts_.bad);
  if (!outcome.result.is_good() && options_.stops_at_first_bad) stop();
  return {};
}

// What was written to an output file, up to the limit; the file is empty afterwards.
Result<std::string> Engine::take_output(int fd) const {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return host::os_error("measure a test's output");
  if (info.st_size == 0) return std::string();
  std::string text(
      static_cast<size_t>(std::min<int64_t>(info.st_size, options_.output_limit.count())), '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  if (n < 0) return host::os_error("read a test's output");
  text.resize(static_cast<size_t>(n));
  if (::ftruncate(fd, 0) != 0) return host::os_error("empty a test's output file");
  return text;
}

}  // namespace wh::kyua
