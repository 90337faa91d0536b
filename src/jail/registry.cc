#include "jail/registry.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "core/sysctl.h"
#include "host/system.h"

namespace wh::jail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOwn = "/proc/1/fd/19";  // kOwnAt
constexpr const char* kBelow = "/proc/1/cwd";
constexpr const char* kNotes = ".notes";  // Of own_folder(), among jails: no jail is called so.

std::string join(const std::string& folder, const std::string& name) {
  return folder + "/" + name;
}

bool runs_inside_jail() {
  const auto name = host::read_file("/proc/1/comm");
  return name && *name == fmt::format("{}\n", kInitName);
}

// A word as a line: its own line ends become "\n", its backslashes two. And back.
std::string to_line(const std::string& word) {
  std::string line;
  for (const char c : word) {
    if (c == '\n' || c == '\\') line += '\\';
    line += c == '\n' ? 'n' : c;
  }
  return line;
}
std::string from_line(std::string_view line) {
  std::string word;
  for (size_t i = 0; i < line.size(); ++i) {
    const bool is_escape = line[i] == '\\' && i + 1 < line.size();
    if (is_escape) ++i;
    word += is_escape && line[i] == 'n' ? '\n' : line[i];
  }
  return word;
}

Result<Entry> load(const std::string& folder, const std::string& name) {
  Entry entry{name, folder, 0, {}};
  const std::string text = TRY(host::read_file(folder + "/params"));
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string word = from_line(std::string_view(text).substr(at, end - at));
    at = end + 1;
    if (word.starts_with("jid=")) {
      std::from_chars(word.data() + 4, word.data() + word.size(), entry.jid);
    } else {
      TRY(entry.params.set(word));
    }
  }
  return entry;
}

// What load() reads.
std::string to_text(const Entry& entry) {
  std::string text = fmt::format("jid={}\n", entry.jid);
  for (const std::string& word : entry.params.words()) text += to_line(word) + "\n";
  return text;
}

// The dead may be removed only under the lock of their folder: one in the making is not locked yet.
enum class Dead : uint8_t { Sweep, Skip };

// Calls `action` for every living jail in a folder of jails, parents first. Only the dead of that
// folder are swept, not those further below.
void walk(const std::string& jails, Dead dead, const std::string& prefix,
          const std::function<void(const std::string& folder, const std::string& name)>& action) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(jails, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (name != kNotes) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::string below = join(jails, name);
    if (!is_alive(below)) {
      std::error_code ignored;
      if (dead == Dead::Sweep) fs::remove_all(below, ignored);
      continue;
    }
    action(below, prefix + name);
    walk(below + "/jails", Dead::Skip, prefix + name + ".", action);
  }
}

int64_t count_in(const std::string& jails) {
  int64_t count = 0;
  walk(jails, Dead::Skip, "", [&](const std::string&, const std::string&) { ++count; });
  return count;
}

}  // namespace

bool is_alive(const std::string& folder) {
  const host::Fd file(::open((folder + "/lock").c_str(), O_RDONLY | O_CLOEXEC));
  // Who cannot look, for want of descriptors say, must not take it for dead.
  if (!file) return errno != ENOENT && errno != ENOTDIR;
  // Shared, so that two who look do not take each other for the init.
  return ::flock(file.raw(), LOCK_SH | LOCK_NB) != 0;
}

std::string Registry::machine_folder() {
  if (const char* given = std::getenv("WHEELHOUSE_RUN")) return given;
  if (::geteuid() == 0) return "/run/wheelhouse";
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr) return std::string(runtime) + "/wheelhouse";
  return fmt::format("/tmp/wheelhouse-{}", ::geteuid());
}

std::string Registry::own_folder() {
  return runs_inside_jail() ? join(kBelow, kNotes) : machine_folder();
}

Result<Registry> Registry::open() {
  if (runs_inside_jail()) {
    Registry registry(kOwn, kBelow, Place::Jail);
    const auto own = load(kOwn, "");
    if (!own) return fail("jail: cannot read this jail's own parameters: {}", own.error().text);
    registry.children_max_ = own->params.children_max;
    registry.own_jid_ = own->jid;
    return registry;
  }
  return open_at(machine_folder());
}

Result<Registry> Registry::open_at(std::string folder) {
  std::error_code error;
  std::string jails = folder + "/jails";
  fs::create_directories(jails, error);
  if (error) return fail("jail: cannot make {}: {}", folder, error.message());
  return Registry(std::move(folder), std::move(jails), Place::Machine);
}

std::vector<std::string> Registry::ancestors() const {
  std::vector<std::string> folders;
  if (!is_inside_) return folders;
  for (int fd = kOwnAt;; ++fd) {
    const std::string path = fmt::format("/proc/1/fd/{}", fd);
    if (::access((path + "/jails").c_str(), F_OK) != 0) return folders;
    folders.push_back(path);
  }
}

Result<std::vector<Entry>> Registry::list() {
  const host::Fd lock = TRY(host::lock_folder(jails_));
  std::vector<Entry> all;
  walk(jails_, Dead::Sweep, "", [&](const std::string& folder, const std::string& name) {
    if (auto entry = load(folder, name)) all.push_back(*std::move(entry));
  });
  return all;
}

Result<Entry> Registry::find(std::string_view wanted) {
  std::vector<std::string> names;
  for (Entry& entry : TRY(list())) {
    if (entry.name == wanted || fmt::format("{}", entry.jid) == wanted) return std::move(entry);
    names.push_back(entry.name);
  }
  const std::string near = nearest(std::string(wanted), names);
  return tl::unexpected(Error{std::errc::no_such_file_or_directory,
                              fmt::format("jail \"{}\" not found{}", wanted,
                                          near.empty() ? "" : fmt::format(" (is it {}?)", near))});
}

Result<int64_t> Registry::children_cur() {
  const host::Fd lock = TRY(host::lock_folder(jails_));
  return count_in(jails_);
}

Result<void> Registry::check_children_max(int64_t wanted) const {
  const int64_t most = std::max<int64_t>(children_max_ - 1, 0);
  if (wanted <= most) return {};
  return fail("children.max: {} is more than this jail may give; at most {}", wanted, most);
}

Result<Made> Registry::add(JailParams params) {
  const host::Fd makers = TRY(host::lock_folder(jails_));
  // Numbers of its own for every jail that makes jails, so that they differ where all are seen.
  constexpr int64_t kFirstBelow = 1000, kDeepest = int64_t{1} << 40;
  int64_t jid = own_jid_ < kDeepest ? own_jid_ * kFirstBelow + 1 : own_jid_ + 1;
  std::vector<int64_t> taken;
  walk(jails_, Dead::Sweep, "", [&](const std::string& folder, const std::string& name) {
    if (const auto entry = load(folder, name)) taken.push_back(entry->jid);
  });
  while (std::find(taken.begin(), taken.end(), jid) != taken.end()) ++jid;
  if (static_cast<int64_t>(taken.size()) >= children_max_) {
    return fail("jail: children.max is {}, and there are {} already", children_max_, taken.size());
  }
  TRY(check_children_max(params.children_max));
  for (const std::string& ancestor : ancestors()) {
    const auto theirs = load(ancestor, "");
    if (!theirs) return tl::unexpected(theirs.error());
    if (count_in(ancestor + "/jails") >= theirs->params.children_max) {
      return fail("jail: children.max of a jail above is {}, and there are as many below it",
                  theirs->params.children_max);
    }
  }
  if (params.name.empty()) params.name = fmt::format("{}", jid);
  if (params.hostname.empty()) params.hostname = params.name.substr(0, 64);
  Entry entry{params.name, join(jails_, params.name), jid, std::move(params)};
  if (::mkdir(entry.folder.c_str(), 0755) != 0) {
    if (errno != EEXIST) return host::os_error("make {}", entry.folder);
    return tl::unexpected(
        Error{std::errc::file_exists, fmt::format("jail {} already exists", entry.name)});
  }
  if (::mkdir((entry.folder + "/jails").c_str(), 0755) != 0) return host::os_error("make a folder");
  TRY(host::write_file(entry.folder + "/params", to_text(entry)));
  // From here on it is looked at. Not LOCK_NB: somebody may be looking whether the jail lives.
  host::Fd lock = TRY(host::open_file(entry.folder + "/lock", O_RDWR | O_CREAT));
  if (::flock(lock.raw(), LOCK_EX) != 0) return host::os_error("lock {}", entry.folder);
  return Made{std::move(entry), std::move(lock)};
}

Result<void> Registry::save(const Entry& entry) {
  // Whoever reads sees the old text or the new one.
  const std::string fresh = entry.folder + "/params.new";
  TRY(host::write_file(fresh, to_text(entry)));
  if (::rename(fresh.c_str(), (entry.folder + "/params").c_str()) != 0) {
    return host::os_error("write {}/params", entry.folder);
  }
  return {};
}

Result<void> Registry::forget(const Entry& entry) {
  std::error_code error;
  // Somebody who looks may be sweeping it at the same time.
  constexpr int kTries = 100;
  for (int i = 0; i < kTries && fs::exists(entry.folder, error); ++i)
    fs::remove_all(entry.folder, error);
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail("remove {}: {}", entry.folder, error.message());
  }
  return {};
}

}  // namespace wh::jail
