// The checks about sleeping and waking: who waits is told of what it waits for, also when it comes
// while he is still on his way to sleep.
#include "dev/conformance_steps.h"

namespace wh::dev {
namespace {

enum class Waiter { Transfer, Poll, Kevent };

// Starts somebody who waits until `fd` can be read (or written). Its step's name is its record.
::thread& start_waiter(Trial& t, Waiter kind, int fd, ::uio_rw direction) {
  const bool reads = direction == UIO_READ;
  switch (kind) {
    case Waiter::Transfer:
      return t.machine().go(reads ? "reader" : "writer", [&t, fd, reads] {
        std::byte one[1] = {};
        static_cast<void>(reads ? t.process().read(fd, one) : t.process().write(fd, one));
      });
    case Waiter::Poll:
      return t.machine().go("poll", [&t, fd, reads] {
        ::pollfd p = {fd, static_cast<short>(reads ? POLLIN : POLLOUT), 0};
        static_cast<void>(t.process().poll({&p, 1}, std::nullopt));
      });
    case Waiter::Kevent: break;
  }
  return t.machine().go("kevent", [&t, fd, reads] {
    const int kq = t.process().kqueue().value();
    const short filter = reads ? EVFILT_READ : EVFILT_WRITE;
    const ::kevent add = {static_cast<uintptr_t>(fd), filter, EV_ADD | EV_CLEAR, 0, 0, nullptr};
    ::kevent event{};
    if (t.process().kevent(kq, {&add, 1}, {}, Duration::zero())) {
      static_cast<void>(t.process().kevent(kq, {}, {&event, 1}, std::nullopt));
    }
    static_cast<void>(t.process().close(kq));
  });
}

// A waiter gets to its sleep, or no further than a point on its way there, which the seed chooses:
// what happens in between is what a driver may miss.
::thread& start_sleeper(Trial& t, Waiter kind, int fd, ::uio_rw direction) {
  constexpr uint64_t kPoints = 32;  // More than there are on the way.
  ::thread& waiter = start_waiter(t, kind, fd, direction);
  const uint64_t point = t.seed() % kPoints;
  point == 0 ? t.machine().run() : t.machine().run_to_point(point);
  return waiter;
}

// After the event: nobody may sleep on while the device is ready. Ends the waiter.
void end_sleeper(Trial& t, ::thread& waiter, Waiter kind, int fd, ::uio_rw direction,
                 const char* event) {
  const bool reads = direction == UIO_READ;
  const int bit = reads ? kReadable : kWritable;
  t.machine().run_for(1s);
  if (!t.machine().is_done(waiter)) {
    if ((poll_now(t, fd, bit) & bit) != 0) {
      constexpr const char* kWho[] = {"wakeup", "selwakeup", "KNOTE"};
      t.note(fmt::format("a {} {} sleeps on ({}) although the device is ready{}: no {}?",
                         reads ? "read's" : "write's", waiter.name, t.waiting(), event,
                         kWho[static_cast<int>(kind)]));
    }
    t.kernel().interrupt(waiter);
    t.machine().run();
  }
  t.machine().reap(waiter);
}

void wake_by_transfer(Trial& t, const std::string& device, Waiter kind, ::uio_rw direction) {
  std::vector<int> fds = {open_device(t, device, O_RDWR),
                          open_device(t, device, O_RDWR | O_NONBLOCK)};
  exhaust(t, fds[1], direction);
  ::thread& waiter = start_sleeper(t, kind, fds[0], direction);
  if (!t.machine().reap(waiter)) {
    std::byte one[1] = {std::byte{'w'}};
    t.must("the other side", [&] {
      static_cast<void>(direction == UIO_READ ? t.process().write(fds[1], one)
                                              : t.process().read(fds[1], one));
    });
    end_sleeper(t, waiter, kind, fds[1], direction, "");
  }
  close_all(t, fds);
}

// Where a read waits for writers only, the last of them to close is an event, too.
void wake_by_close(Trial& t, const std::string& device, Waiter kind) {
  std::vector<int> fds = {open_device(t, device, O_RDONLY)};
  std::vector<int> writer = {open_device(t, device, O_RDWR | O_NONBLOCK)};
  exhaust(t, writer[0], UIO_READ);
  ::thread& waiter = start_sleeper(t, kind, fds[0], UIO_READ);
  close_all(t, writer);
  if (!t.machine().reap(waiter)) {
    end_sleeper(t, waiter, kind, fds[0], UIO_READ, " since its last writer has closed");
  }
  close_all(t, fds);
}

// One event may be enough for several.
void wake_several(Trial& t, const std::string& device, ::uio_rw direction) {
  const bool reads = direction == UIO_READ;
  std::vector<int> fds = {open_device(t, device, O_RDWR),
                          open_device(t, device, O_RDWR | O_NONBLOCK)};
  exhaust(t, fds[1], direction);
  std::vector<::thread*> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.push_back(&start_waiter(t, Waiter::Transfer, fds[0], direction));
  }
  t.machine().run();
  std::vector<std::byte> much = some_bytes(reads ? 64 : kPiece);
  t.must("the other side", [&] {
    static_cast<void>(reads ? t.process().write(fds[1], much) : t.process().read(fds[1], much));
  });
  for (::thread* waiter : waiters) {
    end_sleeper(t, *waiter, Waiter::Transfer, fds[1], direction, " for several");
  }
  close_all(t, fds);
}

}  // namespace

void every_sleeper_is_woken(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    const bool tells = has_poll(t, device);
    for (const Waiter kind : {Waiter::Transfer, Waiter::Poll, Waiter::Kevent}) {
      wake_by_transfer(t, device, kind, UIO_READ);
      wake_by_transfer(t, device, kind, UIO_WRITE);
      if (tells) wake_by_close(t, device, kind);
    }
    if (tells) wake_several(t, device, UIO_READ);
    if (tells) wake_several(t, device, UIO_WRITE);
  }
}

void signals_end_sleeps(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    for (const ::uio_rw direction : {UIO_READ, UIO_WRITE}) {
      std::vector<int> fds = {open_device(t, device, O_RDWR),
                              open_device(t, device, O_RDWR | O_NONBLOCK)};
      exhaust(t, fds[1], direction);
      ::thread& waiter = start_waiter(t, Waiter::Transfer, fds[0], direction);
      t.machine().run();
      if (!t.machine().reap(waiter)) {
        t.kernel().interrupt(waiter);
        t.machine().run_for(1s);
        if (!t.machine().reap(waiter)) {
          t.note(fmt::format("a signal does not end {} ({}): no PCATCH?",
                             direction == UIO_READ ? "d_read" : "d_write", t.waiting()));
        }
      }
      if (t.machine().unfinished() == 0) close_all(t, fds);
    }
  }
}

void unload_while_blocked(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    const int quick = open_device(t, device, O_RDWR | O_NONBLOCK);
    exhaust(t, quick, UIO_READ);
    const int slow = open_device(t, device, O_RDWR);
    if (slow < 0) continue;  // One program at a time may have it.
    for (const Waiter kind : {Waiter::Transfer, Waiter::Poll, Waiter::Kevent}) {
      start_waiter(t, kind, slow, UIO_READ);
    }
    t.machine().run();
  }
  Result<void> done;
  if (!t.does("kldunload", [&] {
        const std::vector<ModuleRow> rows = t.kernel().modules().rows();
        done = t.kernel().modules().unload(std::to_string(rows.front().id));
      })) {
    return t.note(fmt::format("kldunload waits for others to be killed first ({})", t.hung_on()));
  }
  if (!done) return;  // Refused as busy: its right.
  t.machine().run_for(1s);
  if (t.machine().unfinished() != 0) {
    t.note(fmt::format("still asleep after kldunload: {}", t.waiting()));
  }
}

}  // namespace wh::dev
