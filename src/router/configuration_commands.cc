// configuration save, load, diff, check; show configuration; exec.
#include <future>

#include "host/output_file.h"
#include "host/system.h"
#include "router/configuration.h"

namespace wh::router {
namespace {

using nlohmann::json;

// A command about a whole configuration, done in steps: forwarding goes on meanwhile, and the words
// wait for whoever reads them.
class Work final : public Activity {
 public:
  // What the steps find in it, and leave.
  struct State {
    CommandLine& line;
    std::string file, text;  // Which has been read, if it was to be.
    Output out;
    Result<Answer> answer = Answer::nothing();
    bool must_end = false;                    // It is in the middle of a change.
    std::string interrupted = "interrupted";  // What the answer is then.
    bool is_telling = false;                  // It prints at each step.
    size_t bytes = 0;                         // Of lines that are gathered as data.
  };
  using Begin = Steps (*)(State&);

  Work(State state, Begin begin)
      : state_(std::move(state)),
        loop_(state_.line.router().loop()),
        steps_(begin(state_)),
        next_(loop_, [this] { go_on(); }) {
    next_.arm(loop_.now());
  }
  ~Work() override {
    state_.out.print = [](std::string_view) {};  // Nobody is left to hear of it.
    if (state_.must_end) steps_.finish();
  }
  void interrupt() override { is_interrupted_ = true; }
  bool must_end() const override { return state_.must_end; }

 private:
  void go_on() {
    if (is_interrupted_ && !state_.must_end) return finish(fail("{}", state_.interrupted));
    if (state_.is_telling && !state_.out.has_room()) return next_.arm(loop_.now() + 1ms);
    if (steps_.next()) return next_.arm(loop_.now());
    finish(std::move(state_.answer));
  }
  void finish(Result<Answer> answer) {
    state_.out.finish(std::move(answer));  // May destroy this.
  }

  State state_;
  Loop& loop_;
  Steps steps_;
  bool is_interrupted_ = false;
  Timer next_;
};

using State = Work::State;

// While it lives nothing else is set. Error: as CommandLine::begin_change().
class Change {
 public:
  static Result<std::unique_ptr<Change>> begin(CommandLine& line, std::string what) {
    TRY(line.begin_change(std::move(what)));
    return std::unique_ptr<Change>(new Change(line));
  }
  ~Change() { line_.end_change(); }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

 private:
  explicit Change(CommandLine& line) : line_(line) {}
  CommandLine& line_;
};

// What was said is all there is for people, and the data is for programs.
Answer told(json data) {
  return {[] { return std::string(); }, [data = std::move(data)] { return data; }};
}

// Lines, each behind a mark: printed, or put into `rows`.
Steps tell(State& s, const ConfigurationLines& lines, std::string_view mark, json& rows) {
  constexpr size_t kPiece = 128;
  if (!std::exchange(s.is_telling, true)) co_yield Pause{};  // There may be no room yet.
  std::string text;
  size_t count = 0;
  for (const ConfigurationLine& l : lines) {
    if (s.out.is_text) {
      text.append(mark).append(l.line).append("\n");
    } else {
      rows.push_back(l.line);
      s.bytes += l.line.size() + 3;
    }
    if (++count % kPiece != 0 && count < lines.size()) continue;
    if (!text.empty()) s.out.print(text);
    text.clear();
    co_yield Pause{};
  }
}

// After which the lines are gone.
Steps tell(State& s, ConfigurationDifference& d) {
  json rows = {{"remove", json::array()}, {"add", json::array()}};
  WH_DO(tell(s, d.to_remove, "- ", rows["remove"]));
  WH_DO(tell(s, d.to_add, "+ ", rows["add"]));
  if (d.is_empty() && s.out.is_text) s.out.print("no difference\n");
  WH_DO(drop(d.to_remove));
  WH_DO(drop(d.to_add));
  s.answer = told(std::move(rows));
}

Steps show(State& s) {
  const ConfigurationWalk walk = s.line.walk_configuration();
  json rows = json::array();
  for (bool is_more = true; is_more;) {
    ConfigurationLines lines;
    is_more = walk(lines);
    WH_DO(tell(s, lines, "", rows));
    if (auto few = s.out.check_data(s.bytes); !few) {
      s.answer = tl::unexpected(std::move(few.error()));
      co_return;
    }
    co_yield Pause{};
  }
  s.answer = told(std::move(rows));
}

// Of one moment: a line that came meanwhile might need one that was told before it came, and half
// of what is being loaded is what nobody asked for.
Steps save(State& s) {
  const auto change = Change::begin(s.line, "configuration save " + s.file);
  if (!change) {
    s.answer = tl::unexpected(change.error());
    co_return;
  }
  auto file = host::OutputFile::create(s.file);
  if (!file) {
    s.answer = tl::unexpected(std::move(file.error()));
    co_return;
  }
  const ConfigurationWalk walk = s.line.walk_configuration();
  std::string text;
  size_t count = 0;
  for (bool is_more = true; is_more;) {
    ConfigurationLines lines;
    is_more = walk(lines);
    text += to_text(lines);
    count += lines.size();
    co_yield Pause{};
  }
  // Until it is on the disk: a thread may wait for that, forwarding may not.
  auto ending = std::async(std::launch::async, [&] { return file->finish(text); });
  while (ending.wait_for(0s) != std::future_status::ready) co_yield Pause{};
  auto written = ending.get();
  s.answer = Answer::of_text(fmt::format("{}: {} lines", s.file, count));
  if (!written) s.answer = tl::unexpected(std::move(written.error()));
}

// What the file says. When it says nothing sound, the answer is why.
Steps read_target(State& s, ConfigurationLines& target) {
  Result<ConfigurationLines> read;
  WH_DO(try_configuration(s.line.router(), s.text, s.file, read));
  if (read) {
    target = std::move(*read);
  } else {
    s.answer = tl::unexpected(std::move(read.error()));
  }
}

Steps check(State& s) {
  ConfigurationLines target;
  WH_DO(read_target(s, target));
  if (!s.answer) co_return;
  s.answer = Answer::of_text(fmt::format("{}: sound, {} lines", s.file, target.size()));
  WH_DO(drop(target));
}

Steps diff(State& s) {
  ConfigurationLines target, now;
  WH_DO(read_target(s, target));
  if (!s.answer) co_return;
  WH_DO(list_configuration(s.line, now));
  ConfigurationDifference d;
  WH_DO(compare(now, target, d));
  WH_DO(drop(now));
  WH_DO(drop(target));
  WH_DO(tell(s, d));
}

Steps load(State& s) {
  ConfigurationLines target;
  WH_DO(read_target(s, target));
  if (!s.answer) co_return;
  auto change = Change::begin(s.line, "configuration load " + s.file);
  Result<void> result;
  ConfigurationDifference changes;
  if (change) {
    s.must_end = true;
    const auto place = [&s](const std::string& one, std::string& found) {
      return find_place(s.line.router(), s.text, s.file, one, found);
    };
    WH_DO(apply_configuration(s.line, target, place, changes, result));
    s.must_end = false;
    if (result) s.interrupted = "interrupted; the configuration is loaded";
    change->reset();
  } else {
    result = tl::unexpected(change.error());
  }
  WH_DO(drop(target));
  if (!result) {
    s.answer = tl::unexpected(std::move(result.error()));
    co_return;
  }
  WH_DO(tell(s, changes));
}

// `reads`: its file is read first.
Command in_steps(std::string syntax, std::string help, Work::Begin begin, bool reads) {
  return {
      .syntax = std::move(syntax),
      .help = std::move(help),
      .start = [=](CommandLine& line, const Arguments& a, Output out) -> std::unique_ptr<Activity> {
        Result<std::string> text;
        if (reads) text = host::read_file(a["file"]);
        if (!text) {
          out.done(tl::unexpected(std::move(text.error())));
          return nullptr;
        }
        return std::make_unique<Work>(
            State{line, a.get("file", ""), std::move(*text), std::move(out)}, begin);
      }};
}

// A script: its lines one after the other, each when the one before is done. Ends at the first
// error.
class Script final : public Activity {
 public:
  Script(CommandLine& line, std::string name, std::string text, Output out)
      : line_(line),
        name_(std::move(name)),
        text_(std::move(text)),
        out_(std::move(out)),
        next_(line.router().loop(), [this] { take_next(); }) {
    line_.count_script(+1);
    next_.arm(line.router().loop().now());
  }
  ~Script() override { line_.count_script(-1); }
  void interrupt() override {
    at_ = text_.size();
    if (activity_) activity_->interrupt();
  }
  bool must_end() const override { return activity_ && activity_->must_end(); }

 private:
  void take_next() {
    activity_.reset();
    if (at_ >= text_.size()) return finish(Answer::nothing());
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    const std::string one = text_.substr(at_, end - at_);
    at_ = end + 1;
    ++number_;
    activity_ = line_.execute(
        one, {out_.print,
              [this](Result<Answer> answer) {
                if (answer) {
                  out_.print(answer->text());
                } else {
                  problem_ = std::move(answer.error()).within(fmt::format("{}:{}", name_, number_));
                  at_ = text_.size();
                }
                // The activity may be what calls this, so it goes in the next round.
                next_.arm(line_.router().loop().now());
              },
              true, out_.has_room});
  }
  void finish(Answer answer) {
    if (problem_) return out_.finish(tl::unexpected(std::move(*problem_)));
    out_.finish(std::move(answer));
  }

  CommandLine& line_;
  std::string name_, text_;
  Output out_;
  size_t at_ = 0, number_ = 0;
  std::optional<Error> problem_;
  std::unique_ptr<Activity> activity_;
  Timer next_;
};

std::unique_ptr<Activity> execute(CommandLine& line, const Arguments& a, Output out) {
  auto text = host::read_file(a["file"]);
  if (!text) {
    out.done(tl::unexpected(std::move(text.error())));
    return nullptr;
  }
  if (line.scripts() >= CommandLine::kMostScripts) {
    out.done(fail("{}: more than {} scripts at once; does one run itself?", a["file"],
                  CommandLine::kMostScripts));
    return nullptr;
  }
  return std::make_unique<Script>(line, a["file"], std::string(without_mark(*text)),
                                  std::move(out));
}

}  // namespace

Feature configuration_feature() {
  return {
      {in_steps("show configuration", "what is set, as commands that set it again", show, false),
       in_steps("configuration save <file>", "write that to a file", save, false),
       in_steps("configuration check <file>", "whether a file could be loaded", check, true),
       in_steps("configuration diff <file>", "what loading a file would take back (-) and set (+)",
                diff, true),
       in_steps("configuration load <file>", "become what a file says, all of it or nothing", load,
                true),
       {.syntax = "exec <file>", .help = "run the commands of a file", .start = execute}}};
}

}  // namespace wh::router
