// configuration save, load, diff, check; show configuration; exec.
#include "host/output_file.h"
#include "host/system.h"
#include "router/configuration.h"

namespace wh::router {
namespace {

using nlohmann::json;

// A command that needs the whole command line, and is done at once.
Command at_once(std::string syntax, std::string help,
                std::function<Result<Answer>(CommandLine&, const Arguments&)> run) {
  return {.syntax = std::move(syntax),
          .help = std::move(help),
          .start = [run = std::move(run)](CommandLine& line, const Arguments& a,
                                          Output out) -> std::unique_ptr<Activity> {
            out.done(run(line, a));
            return nullptr;
          }};
}

// All that is set, told in pieces: forwarding goes on meanwhile, and the words wait for whoever
// reads them.
class Listing final : public Activity {
 public:
  Listing(CommandLine& line, Output out)
      : loop_(line.router().loop()),
        walk_(line.walk_configuration()),
        out_(std::move(out)),
        next_(loop_, [this] { go_on(); }) {
    next_.arm(loop_.now());
  }
  void interrupt() override { is_interrupted_ = true; }

 private:
  void go_on() {
    if (is_interrupted_) return finish(fail("interrupted"));
    if (!out_.has_room()) return next_.arm(loop_.now() + 1ms);
    ConfigurationLines lines;
    const bool is_more = walk_(lines);
    if (out_.is_text) {
      if (!lines.empty()) out_.print(to_text(lines));
    } else {
      for (auto& l : lines) rows_.push_back(std::move(l.line));
    }
    if (is_more) return next_.arm(loop_.now());
    finish(Answer{[] { return std::string(); }, [rows = std::move(rows_)] { return rows; }});
  }
  void finish(Result<Answer> answer) {
    const auto done = std::move(out_.done);
    done(std::move(answer));  // May destroy this.
  }

  Loop& loop_;
  ConfigurationWalk walk_;
  Output out_;
  json rows_ = json::array();
  bool is_interrupted_ = false;
  Timer next_;
};

Result<Answer> save(CommandLine& line, const Arguments& a) {
  auto file = TRY(host::OutputFile::create(a["file"]));
  const auto lines = line.configuration();
  TRY_VOID(file.finish(to_text(lines)));
  return Answer::of_text(fmt::format("{}: {} lines", a["file"], lines.size()));
}

Result<ConfigurationLines> target_of(CommandLine& line, const Arguments& a) {
  const std::string text = TRY(host::read_file(a["file"]));
  return try_configuration(line.router(), text, a["file"]);
}

Result<Answer> check(CommandLine& line, const Arguments& a) {
  const auto target = TRY(target_of(line, a));
  return Answer::of_text(fmt::format("{}: sound, {} lines", a["file"], target.size()));
}

Result<Answer> diff(CommandLine& line, const Arguments& a) {
  return Answer::of(difference(line.configuration(), TRY(target_of(line, a))));
}

Result<Answer> load(CommandLine& line, const Arguments& a) {
  const std::string text = TRY(host::read_file(a["file"]));
  const auto target = TRY(try_configuration(line.router(), text, a["file"]));
  auto changes = difference(line.configuration(), target);
  TRY_VOID(apply_configuration(line, target, [&](const std::string& one) {
    return find_place(line.router(), text, a["file"], one);
  }));
  return Answer::of(std::move(changes));
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
    next_.arm(line.router().loop().now());
  }
  void interrupt() override {
    at_ = text_.size();
    if (activity_) activity_->interrupt();
  }

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
    const auto done = std::move(out_.done);
    if (problem_) return done(tl::unexpected(std::move(*problem_)));
    done(std::move(answer));
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
  return std::make_unique<Script>(line, a["file"], std::string(without_mark(*text)),
                                  std::move(out));
}

}  // namespace

Feature configuration_feature() {
  return {
      {{.syntax = "show configuration",
        .help = "what is set, as commands that set it again",
        .start = [](CommandLine& line, const Arguments&,
                    Output out) { return std::make_unique<Listing>(line, std::move(out)); }},
       at_once("configuration save <file>", "write that to a file", save),
       at_once("configuration check <file>", "whether a file could be loaded", check),
       at_once("configuration diff <file>", "what loading a file would take back (-) and set (+)",
               diff),
       at_once("configuration load <file>", "become what a file says, all of it or nothing", load),
       {.syntax = "exec <file>", .help = "run the commands of a file", .start = execute}}};
}

}  // namespace wh::router
