#include "packetdrill/control.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "packetdrill/kernel.h"
#include "packetdrill/tcp_socket.h"

namespace wh::packetdrill {
namespace {

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return words;
}

// Commands under the names that scripts use, beside this object: lib/../libexec/packetdrill.
void put_commands_first() {
  Dl_info self{};
  if (dladdr(reinterpret_cast<const void*>(&put_commands_first), &self) == 0) return;
  std::error_code ignored;
  const auto file = std::filesystem::weakly_canonical(self.dli_fname, ignored);
  const auto folder = file.parent_path().parent_path() / "libexec" / "packetdrill";
  if (!std::filesystem::is_directory(folder, ignored)) return;
  const char* path = std::getenv("PATH");
  const std::string value = folder.string() + (path == nullptr ? "" : std::string(":") + path);
  ::setenv("PATH", value.c_str(), 1);
}

}  // namespace

std::string_view bsd_name(tcp::State state) {
  switch (state) {
    case tcp::State::Closed: return "CLOSED";
    case tcp::State::SynSent: return "SYN_SENT";
    case tcp::State::SynReceived: return "SYN_RCVD";
    case tcp::State::Established: return "ESTABLISHED";
    case tcp::State::CloseWait: return "CLOSE_WAIT";
    case tcp::State::FinWait1: return "FIN_WAIT_1";
    case tcp::State::Closing: return "CLOSING";
    case tcp::State::LastAck: return "LAST_ACK";
    case tcp::State::FinWait2: return "FIN_WAIT_2";
    case tcp::State::TimeWait: return "TIME_WAIT";
  }
  return "?";
}

Control::Control(World& world, Kernel& kernel) : world_(world), kernel_(kernel) {
  static int opened = 0;  // Objects that this process has made.
  const std::string name = fmt::format("wh-packetdrill-{}-{}", ::getpid(), ++opened);
  auto answerer =
      host::Answerer::open(name, [this](const std::string& question) { return answer(question); });
  if (!answerer) {  // Scripts without shell lines still run.
    fmt::print(stderr, "libwh-packetdrill: no control: {}\n", answerer.error().text);
    return;
  }
  answerer_ = std::move(*answerer);
  ::setenv(kControlVariable, name.c_str(), 1);
  put_commands_first();
}

std::string Control::answer(const std::string& question) {
  const World::Lock lock = world_.lock();
  const auto done = act(split(question));
  return done ? "ok\n" + *done : "no\n" + done.error().text;
}

Result<std::string> Control::act(const std::vector<std::string>& words) {
  const auto word = [&](size_t i) { return i < words.size() ? words[i] : std::string(); };
  SysctlTree& tree = world_.sysctl();
  if (word(0) == "sysctl" && word(1) == "set") return set(word(2));
  if (word(0) == "sysctl" && word(1) == "list") {
    std::string text;
    for (const SysctlTree::Leaf& l : TRY(tree.list(word(2)))) {
      text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}", l.name, l.value, l.default_value,
                          l.unit, l.description, int{l.writable}, int{l.is_int}, l.min, l.max);
      text += '\0';
    }
    return text;
  }
  if (word(0) == "sockets") return sockets();
  if (word(0) == "drop") return drop(word(1));
  if (word(0) == "mtu") {
    const std::string text = word(1);
    uint32_t mtu = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), mtu);
    if (end.ec != std::errc{} || end.ptr != text.data() + text.size()) {
      return fail("mtu: '{}' is not a number of bytes", text);
    }
    TRY(world_.wire().change_mtu(mtu));
    return std::string();
  }
  return fail("unknown question '{}'; accepted: sysctl, sockets, drop, mtu", word(0));
}

Result<std::string> Control::set(const std::string& assignment) {
  SysctlTree& tree = world_.sysctl();
  const std::string before = TRY(tree.get(assignment.substr(0, assignment.find_first_of(" ="))));
  TRY(tree.assign(assignment));
  return before;
}

std::string Control::sockets() const {
  std::string text;
  const auto row = [&](const tcp::Endpoint& local, const std::string& foreign,
                       std::string_view state, int fd) {
    text += fmt::format("{}\t{}\t{}\t{}\t{}\n", local.address.is_v4() ? 4 : 6,
                        tcp::to_string(local), foreign, state, fd);
  };
  std::map<const tcp::Connection*, int> owners;
  for (const auto& [fd, descriptor] : kernel_.descriptors()) {
    const auto* socket = dynamic_cast<const TcpSocket*>(descriptor.get());
    if (socket == nullptr) continue;
    if (socket->listener() != nullptr) row(socket->listener()->local(), "*:*", "LISTEN", fd);
    if (socket->connection() == nullptr) continue;
    owners[socket->connection()] = fd;
    if (socket->connection()->state() == tcp::State::Closed) {
      row(socket->connection()->local(), tcp::to_string(socket->connection()->remote()), "CLOSED",
          fd);
    }
  }
  world_.tcp().for_each([&](const tcp::Connection& c) {
    const auto owner = owners.find(&c);
    row(c.local(), tcp::to_string(c.remote()), bsd_name(c.state()),
        owner == owners.end() ? -1 : owner->second);
  });
  return text;
}

Result<std::string> Control::drop(const std::string& state) {
  std::vector<std::string_view> known = {"all"};
  for (int s = 0; s <= static_cast<int>(tcp::State::TimeWait); ++s) {
    known.push_back(bsd_name(static_cast<tcp::State>(s)));
  }
  if (std::find(known.begin(), known.end(), state) == known.end()) {
    return fail("no state '{}'; accepted: {}", state, fmt::join(known, ", "));
  }
  size_t count = 0;
  tcp::TcpStack::Batch batch(world_.tcp());
  world_.tcp().for_each([&](tcp::Connection& c) {
    if (state != "all" && state != bsd_name(c.state())) return;
    ++count;
    c.drop();
  });
  return std::to_string(count);
}

}  // namespace wh::packetdrill
