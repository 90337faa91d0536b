#include "packetdrill/world.h"

#include <charconv>

namespace wh::packetdrill {
namespace {

// A released thread that never reads the clock must not stop the world for good.
constexpr auto kRealPatience = std::chrono::seconds(2);

Result<uint32_t> number(std::string_view name, std::string_view text, uint32_t least,
                        uint32_t most) {
  uint32_t n = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), n);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size() || n < least || n > most) {
    return fail("so_flags: {}: '{}' is not a number from {} to {}", name, text, least, most);
  }
  return n;
}

}  // namespace

Result<Flags> parse_flags(std::string_view text) {
  Flags flags;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (word.empty()) continue;
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : word.substr(equals + 1);
    if (name == "mtu") {
      flags.mtu = TRY(number(name, value, 68, 65535));
    } else if (name == "patience") {
      flags.patience = std::chrono::seconds(TRY(number(name, value, 1, 1'000'000)));
    } else if (name == "verbose") {
      flags.verbose = true;
    } else if (name.find('.') != std::string_view::npos && equals != std::string_view::npos) {
      flags.sysctls.emplace_back(word);
    } else {
      return fail(
          "so_flags: unknown word '{}'; accepted: mtu=BYTES, patience=SECONDS, verbose, "
          "SYSCTL=VALUE",
          word);
    }
  }
  return flags;
}

World::World(const Flags& flags)
    : flags_(flags),
      vnet_({.name = "sut"}, loop_, pool_, Random(1)),
      wheel_(loop_, books_),
      tcp_(vnet_, wheel_),
      wire_(vnet_, loop_, pool_, flags.mtu) {
  books_.add_sysctls(sysctl());
  wheel_.add_sysctls(sysctl(), 0);
  sysctl().add_counter("net.inet.udp.fullsock", &full_udp_,
                       "datagrams dropped: the socket's queue was full", "datagrams");
  // packetdrill gives out each address once: there are no duplicates to wait a second for.
  MUST(sysctl().set("net.inet6.ip6.dad_count", "0"));  // It exists.
}

void World::step_to(Lock& lock, Instant target) {
  while (loop_.next_deadline() <= target) {
    loop_.step();
    release_ready(lock);
  }
  if (target > loop_.now()) loop_.run_until(target);
  release_ready(lock);
}

void World::advance(Lock& lock, Duration by) {
  step_to(lock, loop_.now() + by);
}

bool World::advance_to_packet(Lock& lock) {
  const Instant end = loop_.now() + flags_.patience;
  while (!wire_.has_packet()) {
    const Instant next = loop_.next_deadline();
    if (next == kNever || next > end) return false;
    loop_.step();
    release_ready(lock);
  }
  return true;
}

Instant World::read_clock(Lock& lock) {
  if (returning_ == std::this_thread::get_id()) {
    returning_ = {};
    changed_.notify_all();
    return loop_.now();
  }
  advance(lock, 1us);
  return loop_.now();
}

void World::release_ready(Lock& lock) {
  for (bool again = true; again;) {
    again = false;
    for (Waiter& w : waiters_) {
      if (w.is_released || (!w.ready() && w.deadline > loop_.now())) continue;
      w.is_released = true;
      returning_ = w.thread;
      changed_.notify_all();
      changed_.wait_for(lock, kRealPatience, [this] { return returning_ == std::thread::id{}; });
      returning_ = {};
      again = true;  // The list may have changed meanwhile.
      break;
    }
  }
}

bool World::block(Lock& lock, const std::function<bool()>& ready, Instant deadline) {
  if (ready()) return true;
  if (deadline <= loop_.now()) return false;
  if (std::this_thread::get_id() == owner_) {
    const Instant end = std::min(deadline, loop_.now() + flags_.patience);
    while (!ready() && loop_.now() < end) {
      step_to(lock, std::min(end, std::max(loop_.next_deadline(), loop_.now())));
    }
    return ready();
  }
  Timer alarm(loop_, [] {});  // So that time stops at the deadline.
  if (deadline != kNever) alarm.arm(deadline);
  waiters_.push_back({ready, deadline, std::this_thread::get_id()});
  const auto me = std::prev(waiters_.end());
  if (returning_ == me->thread) {  // It waits again instead: time may go on.
    returning_ = {};
    changed_.notify_all();
  }
  changed_.wait(lock, [&] { return me->is_released; });
  waiters_.erase(me);
  return ready();
}

}  // namespace wh::packetdrill
