#include "kyua/engine.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "host/system.h"
#include "kyua/isolation.h"
#include "kyua/supervisor.h"

namespace wh::kyua {

struct Engine::Slot {
  explicit Slot(Engine& engine)
      : answer(engine.loop_, "case", [this, &engine] { return engine.collect(*this); }) {}

  host::Fd out, err;  // Unlinked files, empty between cases.
  pid_t worker = -1;
  std::string folder;  // Where its cases run.
  host::Fd socket;     // To the worker.
  host::FdWatch answer;
  std::string received;
  Work work;
  int attempt = 1;
  bool is_busy = false;
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

// Closes every descriptor above 2 that is not among these.
void close_all_but(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned from = 3;
  for (const int fd : kept) {
    if (fd < static_cast<int>(from)) continue;
    if (fd > static_cast<int>(from)) ::close_range(from, static_cast<unsigned>(fd) - 1, 0);
    from = static_cast<unsigned>(fd) + 1;
  }
  ::close_range(from, ~0u, 0);
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
      std::count_if(slots_.begin(), slots_.end(), [](const auto& s) { return s->is_busy; }));
}

Result<void> Engine::run() {
  // What a case leaves that ends its own worker comes to this process.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // Cannot fail.
  auto pipe = TRY(host::make_pipe());
  lifeline_read_ = std::move(pipe.read_end);
  lifeline_write_ = std::move(pipe.write_end);
  for (int64_t i = 0; i < config_.parallelism; ++i) {
    auto slot = std::make_unique<Slot>(*this);
    slot->out = TRY(make_output_file(options_.temporary));
    slot->err = TRY(make_output_file(options_.temporary));
    slots_.push_back(std::move(slot));
  }
  if (auto started = fill(); !started) status_ = started;
  while (running() > 0) {
    if (!status_) stop();
    loop_.run();
  }
  for (const auto& slot : slots_) dismiss(*slot);
  return status_;
}

void Engine::stop() {
  is_stopping_ = true;
  lifeline_write_.close();
}

// Gives every idle slot work, as far as there is some that may start now.
Result<void> Engine::fill() {
  for (const auto& slot : slots_) {
    while (!slot->is_busy && !is_stopping_) {
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
  slot.work = work;
  slot.attempt = attempt;
  if (work.test_case != nullptr) {
    observer_.started(*work.program, *work.test_case, static_cast<int>(running()) + 1);
  }
  slot.is_busy = true;
  Order order{static_cast<size_t>(work.program - scanner_.programs().data()), std::nullopt};
  if (work.test_case != nullptr) order.test_case = *work.test_case;
  const std::string text = encode(order);
  // One that has died since its last case is replaced. Whatever else hinders the sending, the
  // answer, which is none, will tell.
  if (slot.worker < 0) TRY(hire(slot));
  if (!send_frame(slot.socket.raw(), text)) {
    dismiss(slot);
    TRY(hire(slot));
    (void)send_frame(slot.socket.raw(), text);
  }
  return {};
}

Result<void> Engine::hire(Slot& slot) {
  auto [ours, theirs] = TRY(host::make_socket_pair(SOCK_STREAM));
  slot.folder = TRY(reserve_folder(options_.temporary));
  const pid_t pid = ::fork();
  if (pid < 0) return host::os_error("start a process for test cases");
  if (pid == 0) be_worker(slot, theirs.raw());
  slot.worker = pid;
  slot.socket = std::move(ours);
  slot.received.clear();
  return slot.answer.watch(slot.socket.raw());
}

// Its socket closed, a worker ends as soon as it has no case any more.
void Engine::dismiss(Slot& slot) {
  if (slot.worker < 0) return;
  slot.answer.unwatch();
  slot.socket.close();
  host::uninterrupted([&] { return ::waitpid(slot.worker, nullptr, 0); });
  slot.worker = -1;
}

// A case has killed its own worker, or tricked it out of the world: what they leave goes.
Result<void> Engine::clean_up_after(const Slot& lost) {
  std::vector<pid_t> workers = {::getpid()};  // Never empty.
  for (const auto& slot : slots_) workers.push_back(slot->worker);
  auto ended = Supervisor::end_stragglers(workers);
  auto removed = remove_tree(lost.folder);
  return ended ? removed : ended;
}

void Engine::be_worker(const Slot& slot, int socket) {
  // A copy of the lifeline's writing end, or of the runner's ends of other workers' sockets, would
  // keep them whole when the runner dies.
  close_all_but({slot.out.raw(), slot.err.raw(), lifeline_read_.raw(), socket});
  take_default_signals();
  ::umask(0022);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // Cannot fail.
  if (const auto loop = host::RealLoop::make()) {
    WorkFolder folder(options_.temporary, slot.folder);
    serve(socket, [&](const Order& order) {
      return do_order(order, slot, {**loop, folder, lifeline_read_.raw()});
    });
  }
  ::_exit(0);
}

// In the worker.
CaseOutcome Engine::do_order(const Order& order, const Slot& slot, WorkPlace place) const {
  CaseJob job{&scanner_.programs().at(order.program), order.test_case ? &*order.test_case : nullptr,
              &config_, &calendar_, options_.temporary};
  job.out = slot.out.raw();
  job.err = slot.err.raw();
  job.output_limit = options_.output_limit;
  job.process_limit = options_.process_limit;
  if (order.test_case) {
    job.is_live = options_.is_live;
    job.pause_before_cleanup = options_.pauses;
    job.pause_only_if_bad = options_.pauses_only_if_bad;
    if (job.is_live) job.out = job.err = -1;
  }
  return run_case(job, place);
}

host::Progress Engine::collect(Slot& slot) {
  std::array<uint8_t, 4096> part;
  const auto n = host::read_some(slot.socket.raw(), part);
  const bool is_over = !n || *n == 0;
  if (!is_over) slot.received.append(part.begin(), part.begin() + *n);
  const auto said = take_frame(slot.received);
  if (!said && !is_over) return host::Progress::Some;
  if (is_over) dismiss(slot);
  if (!slot.is_busy) return host::Progress::Some;
  slot.is_busy = false;
  auto done = complete(slot, said);
  if (done && !is_stopping_) done = fill();
  if (!done && status_) status_ = std::move(done);
  if (!status_ || running() == 0) loop_.stop();
  return host::Progress::Some;
}

// The slot's worker has said what became of its order, or has died.
Result<void> Engine::complete(Slot& slot, const std::optional<std::string>& said) {
  const auto decoded = decode(said.value_or(""));
  CaseOutcome outcome;
  if (decoded) {
    outcome = *decoded;
  } else {
    outcome.start = outcome.end = calendar_.at(loop_.clock());
    outcome.result = {Verdict::Broken, decoded.error().text};
    if (const auto cleaned = clean_up_after(slot); !cleaned) {
      outcome.result.reason += "; " + cleaned.error().text;
    }
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
