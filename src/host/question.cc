#include "host/question.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace wh::host {
namespace {

constexpr std::chrono::milliseconds kRest(10);
constexpr timeval kPatience = {.tv_sec = 2, .tv_usec = 0};

// The name's address: a zero byte, then the name. Its length tells it from a longer one.
struct Address {
  sockaddr_un un{};
  socklen_t length = 0;
};
Result<Address> address_of(const std::string& name) {
  Address a;
  if (name.empty() || name.size() >= sizeof a.un.sun_path) {
    return fail("'{}' is no socket's name; 1 to {} bytes are", name, sizeof a.un.sun_path - 1);
  }
  a.un.sun_family = AF_UNIX;
  std::memcpy(a.un.sun_path + 1, name.data(), name.size());
  a.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return a;
}

Result<std::string> read_text(int fd) {
  std::string text;
  std::vector<uint8_t> part(65536);
  while (text.size() < kMostText) {
    const size_t n = TRY(read_some(fd, part));
    if (n == 0) break;
    text.append(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(n));
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<Answerer>> Answerer::open(const std::string& name, Answer answer) {
  const Address address = TRY(address_of(name));
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener) return os_error("make a local socket");
  if (::bind(listener.raw(), reinterpret_cast<const sockaddr*>(&address.un), address.length) < 0 ||
      ::listen(listener.raw(), 8) < 0) {
    return os_error("listen at @{}", name);
  }
  return std::unique_ptr<Answerer>(new Answerer(std::move(listener), std::move(answer)));
}

Answerer::Answerer(Fd listener, Answer answer)
    : listener_(std::move(listener)), answer_(std::move(answer)), thread_([this] { serve(); }) {}

Answerer::~Answerer() {
  is_closing_ = true;
  ::shutdown(listener_.raw(), SHUT_RDWR);  // Ends accept().
  {
    const std::lock_guard lock(peer_mutex_);
    if (peer_) ::shutdown(peer_.raw(), SHUT_RD);  // Ends the wait for the rest of a question.
  }
  thread_.join();
}

void Answerer::serve() {
  while (!is_closing_) {
    Fd peer(uninterrupted(
        [this] { return ::accept4(listener_.raw(), nullptr, nullptr, SOCK_CLOEXEC); }));
    if (!peer) {
      // No descriptor is left for it, say. Looking again at once would be a busy wait.
      if (!is_closing_) std::this_thread::sleep_for(kRest);
      continue;
    }
    // Cannot fail: it is a socket.
    ::setsockopt(peer.raw(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    ::setsockopt(peer.raw(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    set_peer(std::move(peer));
    if (is_closing_) return;
    const auto question = read_text(peer_.raw());
    // An asker that went away has no use for the answer.
    if (question && !is_closing_) {
      (void)send_all(peer_.raw(), std::string_view(answer_(*question)).substr(0, kMostText));
    }
    set_peer({});
  }
}

void Answerer::set_peer(Fd peer) {
  const std::lock_guard lock(peer_mutex_);
  peer_ = std::move(peer);
}

Result<std::string> ask(const std::string& name, const std::string& question) {
  const Address address = TRY(address_of(name));
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return os_error("make a local socket");
  const int connected = uninterrupted([&] {
    return ::connect(socket.raw(), reinterpret_cast<const sockaddr*>(&address.un), address.length);
  });
  if (connected < 0) return os_error("ask at @{}", name);
  TRY(send_all(socket.raw(), question));
  ::shutdown(socket.raw(), SHUT_WR);
  return read_text(socket.raw());
}

}  // namespace wh::host
