#include "kyua/jail_execenv.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace wh::kyua {
namespace {

constexpr size_t kLongestName = 255;  // FreeBSD's MAXHOSTNAMELEN - 1.

Result<jail::Jail> create(jail::Registry& registry, const std::string& name,
                          std::string_view text) {
  const auto words = TRY(jail_words(name, registry.children_max(), text));
  auto params = TRY(jail::parse_params(words));
  if (!params.command.empty()) {
    return fail("execenv_jail_params: command is not accepted: the case is what runs in the jail");
  }
  return jail::Jail::create(registry, std::move(params), {.dies_with_maker = true});
}

// exec.start or exec.stop: in order, until one fails.
Result<void> run_commands(std::string_view param, const std::vector<std::string>& commands,
                          bool is_clean, const ExecEnv::Run& run) {
  for (const std::string& command : commands) {
    std::vector<std::string> words;
    if (is_clean) {
      words = jail::clean_environment();
      words.insert(words.begin(), {"/usr/bin/env", "-i"});
    }
    words.insert(words.end(), {"/bin/sh", "-c", command});
    const Ended ended = TRY(run(words));
    if (ended.has_timed_out) return fail("jail: {}: {}: timed out", param, command);
    if (ended.signal != 0 || ended.code != 0) {
      return fail("jail: {}: {}: {}", param, command, to_string(ended));
    }
  }
  return {};
}

}  // namespace

std::string jail_name(const std::string& program_path, const std::string& case_name) {
  constexpr std::string_view kPrefix = "kyua";
  std::string rest = program_path + "_" + case_name;
  std::replace_if(
      rest.begin(), rest.end(), [](unsigned char c) { return !std::isalnum(c) && c != '_'; }, '_');
  const size_t room = kLongestName - kPrefix.size();
  if (rest.size() > room) rest.erase(0, rest.size() - room);
  return std::string(kPrefix) + rest;
}

Result<std::vector<std::string>> split_params(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool is_word = false;
  char quote = 0;
  for (const char c : text) {
    if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      is_word = true;
    } else if (quote == 0 && std::isspace(static_cast<unsigned char>(c))) {
      if (is_word) words.push_back(std::move(word));
      word.clear();
      is_word = false;
    } else {
      word += c;
      is_word = true;
    }
  }
  if (quote != 0) return fail("execenv_jail_params: a {} without its end in: {}", quote, text);
  if (is_word) words.push_back(std::move(word));
  return words;
}

Result<std::vector<std::string>> jail_words(const std::string& name, int64_t parent_children_max,
                                            std::string_view params) {
  std::vector<std::string> words = {
      "name=" + name,
      fmt::format("children.max={}", std::max<int64_t>(parent_children_max - 1, 0))};
  for (std::string& word : TRY(split_params(params))) words.push_back(std::move(word));
  words.emplace_back("persist");
  return words;
}

Result<void> JailExecEnv::init(const Run& run) {
  auto registry = TRY(jail::Registry::open());
  auto made = create(registry, name_, params_);
  if (!made && made.error().code == std::errc::file_exists) {
    // Another runner is at the same case; its name is taken, but not with our process id.
    const std::string tail = fmt::format("_{}", ::getpid());
    made = create(registry, name_.substr(0, kLongestName - tail.size()) + tail, params_);
  }
  if (!made) return tl::unexpected(std::move(made).error().within("jail"));
  jail_.emplace(*std::move(made));
  const jail::JailParams& params = jail_->entry().params;
  auto ready = run_commands("exec.start", params.exec_start, params.is_exec_clean, run);
  if (ready) return {};
  (void)jail_->remove();  // The first failure is the one to report.
  jail_.reset();
  return ready;
}

Result<pid_t> JailExecEnv::start(const std::function<void()>& child) {
  CHECK(jail_.has_value());
  return jail_->start(child);
}

Result<void> JailExecEnv::cleanup(const Run& run) {
  if (!jail_) return {};
  const jail::JailParams& params = jail_->entry().params;
  auto stopped = run_commands("exec.stop", params.exec_stop, params.is_exec_clean, run);
  auto removed = jail_->remove();
  return removed ? stopped : removed;
}

}  // namespace wh::kyua
