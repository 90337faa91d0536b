#include "kyua/jail_execenv.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace wh::kyua {
namespace {

constexpr size_t kLongestName = 255;  // FreeBSD's MAXHOSTNAMELEN - 1.

Result<jail::Jail> create(jail::Registry& registry, const std::string& name,
                          std::string_view params) {
  const auto words = TRY(jail_words(name, registry.children_max(), params));
  return jail::Jail::create(registry, TRY(jail::parse_params(words)), {.dies_with_maker = true});
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

Result<void> JailExecEnv::init() {
  auto registry = TRY(jail::Registry::open());
  auto made = create(registry, name_, params_);
  if (!made && made.error().code == std::errc::file_exists) {
    // Another runner is at the same case; its name is taken, but not with our process id.
    const std::string tail = fmt::format("_{}", ::getpid());
    made = create(registry, name_.substr(0, kLongestName - tail.size()) + tail, params_);
  }
  if (!made) return tl::unexpected(std::move(made).error().within("jail"));
  jail_.emplace(*std::move(made));
  return {};
}

Result<pid_t> JailExecEnv::start(const std::function<void()>& child) {
  CHECK(jail_.has_value());
  return jail_->start(child);
}

Result<void> JailExecEnv::cleanup() {
  if (!jail_) return {};
  return jail_->remove();
}

}  // namespace wh::kyua
