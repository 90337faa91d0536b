#include "dev/conformance.h"

#include <fmt/format.h>

#include <cerrno>
#include <map>

#include "dev/conformance_steps.h"

namespace wh::dev {
namespace {

std::string name_of(int code) {
  return fmt::format("{} ({})", code, std::make_error_code(static_cast<std::errc>(code)).message());
}

// ---- Coming and going

void load_and_unload(Trial& t) {
  for (int i = 0; i < 3; ++i) {
    if (const auto id = t.load(); !id) return t.note(id.error().text);
    if (t.devices().empty()) t.note("no device after MOD_LOAD");
    if (const auto done = t.unload(); !done) return t.note(done.error().text);
    for (const std::string& name : t.devices()) t.note(fmt::format("/dev/{} is still there", name));
  }
}

void names_that_exist(Trial& t) {
  static ::cdevsw other = {};
  other.d_version = D_VERSION;
  other.d_name = "other";
  if (!t.load()) return;
  const std::vector<std::string> names = t.devices();
  if (!t.unload()) return;
  for (const std::string& name : names) {
    ::make_dev_args args{};
    args.mda_devsw = &other;
    args.mda_flags = MAKEDEV_CHECKNAME;
    ::cdev* dev = nullptr;
    if (t.kernel().devfs().make(args, name, &dev) != 0) continue;
    const auto id = t.load();
    if (id) {
      t.note(fmt::format("loads although /dev/{} exists", name));
      static_cast<void>(t.unload());
    } else if (id.error().code != std::errc::file_exists) {
      t.note(fmt::format("with /dev/{} taken: {}; expected EEXIST", name, id.error().text));
    }
    t.must("destroy_dev", [&] { t.kernel().devfs().destroy(*dev); });
  }
}

// What a read finds once there is nothing left to read.
std::string read_of_nothing(Trial& t, const std::string& device) {
  std::vector<int> fds = {open_device(t, device, O_RDONLY | O_NONBLOCK)};
  exhaust(t, fds[0], UIO_READ);
  const Moved moved = exhaust(t, fds[0], UIO_READ);
  close_all(t, fds);
  if (moved.bytes != 0) return "something";
  return moved.error == 0 ? "the end" : name_of(moved.error);
}

void opens_and_closes(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    const std::string before = read_of_nothing(t, device);
    std::vector<int> open_now;
    for (int i = 0; i < 30; ++i) {
      constexpr int kModes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_NONBLOCK,
                                O_RDWR | O_NONBLOCK};
      const int fd = open_device(t, device, kModes[i % 5]);
      if (fd >= 0) open_now.push_back(fd);
    }
    std::reverse(open_now.begin(), open_now.end());
    close_all(t, open_now);
    if (const std::string after = read_of_nothing(t, device); after != before) {
      t.note(fmt::format("a read finds {}, and {} after opens and closes: no D_TRACKCLOSE?", before,
                         after));
    }
  }
}

// ---- Each method alone

void transfers_at_the_limits(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    std::vector<int> fds = {open_device(t, device, O_RDWR | O_NONBLOCK),
                            open_device(t, device, O_RDWR)};
    for (const size_t size : {size_t{0}, size_t{1}, size_t{512}, size_t{65537}}) {
      std::vector<std::byte> buffer = some_bytes(size);
      for (const int64_t at : {int64_t{0}, int64_t{1}, int64_t{511}, int64_t{1} << 31,
                               int64_t{INT64_MAX} - 70000, int64_t{INT64_MAX}}) {
        // Without bytes to move, nobody waits, O_NONBLOCK or not.
        const int fd = size == 0 ? fds[1] : fds[0];
        const std::string what = fmt::format("of {} bytes at {}", size, at);
        t.must("d_write " + what, [&] { static_cast<void>(t.process().write(fd, buffer, at)); });
        t.must("d_read " + what, [&] { static_cast<void>(t.process().read(fd, buffer, at)); });
      }
    }
    close_all(t, fds);
  }
}

void nonblocking_never_sleeps(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    std::vector<int> fds = {open_device(t, device, O_RDWR | O_NONBLOCK),
                            open_device(t, device, O_RDWR)};
    exhaust(t, fds[0], UIO_READ);
    exhaust(t, fds[0], UIO_WRITE);
    exhaust(t, fds[0], UIO_READ);
    // The same by fcntl, where the driver takes it.
    Sys<void> set;
    t.must("FIONBIO", [&] { set = t.process().set_status_flags(fds[1], O_NONBLOCK); });
    if (set) exhaust(t, fds[1], UIO_READ);
    if (set) exhaust(t, fds[1], UIO_WRITE);
    close_all(t, fds);
  }
}

// Every command of a group that takes or gives an int or a size: `at` is the one in progress.
void whole_group(Trial& t, int fd, uint32_t group, uint32_t& at) {
  for (uint32_t number = 0; number < 256; ++number) {
    for (const uint32_t size : {4u, 8u}) {
      for (const uint32_t direction : {_IOC_READ, _IOC_WRITE}) {
        size_t value = 64 + number;
        at = _IOC(direction, group, number, size);
        static_cast<void>(t.process().ioctl(fd, at, &value));
      }
    }
  }
}

void whole_groups(Trial& t, int fd) {
  for (uint32_t group = 'A'; group <= 'z'; ++group) {
    uint32_t at = 0;
    if (!t.does("d_ioctl", [&] { whole_group(t, fd, group, at); })) {
      t.note(fmt::format("d_ioctl {:#x} does not return ({})", at, t.hung_on()));
    }
  }
  // What they have changed must hold what it says.
  exhaust(t, fd, UIO_WRITE);
  exhaust(t, fd, UIO_READ);
}

void ioctls(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    for (const int mode : {O_RDONLY, O_RDWR}) {
      std::vector<int> fds = {open_device(t, device, mode | O_NONBLOCK)};
      if (fds[0] < 0) continue;  // Its right.
      std::vector<std::byte> data(IOCPARM_MAX, std::byte{0xa5});
      const auto control = [&](uint32_t cmd) {
        Sys<int> r = 0;
        t.must(fmt::format("d_ioctl {:#x}", cmd),
               [&] { r = t.process().ioctl(fds[0], cmd, data.data()); });
        return code_of(r);
      };
      // A group that is nobody's.
      constexpr uint32_t kNobodys[] = {_IO(0xfe, 0xfe), _IOR(0xfe, 0xfe, int),
                                       _IOW(0xfe, 0xfd, int),
                                       _IOC(_IOC_READ | _IOC_WRITE, 0xfe, 1, IOCPARM_MAX)};
      for (const uint32_t cmd : kNobodys) {
        const int code = control(cmd);
        // Who may not write may be told that first.
        const bool is_refused = code == EPERM || code == EACCES || code == EBADF;
        if (code != ENOTTY && code != ENODEV && (mode != O_RDONLY || !is_refused)) {
          t.note(fmt::format("an unknown ioctl gives {}; expected ENOTTY", name_of(code)));
        }
      }
      // Every command without an argument, then some of those with one.
      for (uint32_t group = 'A'; group <= 'z'; ++group) {
        for (uint32_t number = 0; number < 256; number += mode == O_RDWR ? 1 : 16) {
          control(_IO(group, number));
        }
      }
      for (int i = 0; i < 1000; ++i) {
        const uint32_t group = 'A' + static_cast<uint32_t>(t.random().below('z' - 'A' + 1));
        constexpr uint32_t kSizes[] = {0, 1, 4, 8, 16, 64};
        const uint32_t size = kSizes[t.random().below(6)];
        const uint32_t direction = size == 0 ? 0 : 1 + static_cast<uint32_t>(t.random().below(3));
        for (std::byte& b : std::span(data).first(64)) b = std::byte(t.random().below(256));
        control(_IOC(direction, group, static_cast<uint32_t>(t.random().below(256)), size));
      }
      control(FIONREAD);
      control(FIONWRITE);
      if (mode == O_RDWR) whole_groups(t, fds[0]);
      close_all(t, fds);
    }
  }
}

void mappings(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    std::vector<int> fds = {open_device(t, device, O_RDWR)};
    for (const int64_t at : {int64_t{0}, int64_t{4096}, int64_t{1} << 40, INT64_MAX - 8191}) {
      t.must("d_mmap", [&] {
        const auto pages = t.process().map(fds[0], at & ~int64_t{4095}, 4096, 3);
        if (!pages) return;
        for (std::byte* page : *pages) {
          if (page == nullptr || reinterpret_cast<uintptr_t>(page) % 4096 != 0) {
            return t.note(fmt::format("d_mmap at {} gives no whole page", at));
          }
          *page = *page;  // It must be there.
        }
      });
    }
    close_all(t, fds);
  }
}

// ---- Readiness

// poll(2) and read(2), write(2) say the same of a device that nobody else uses.
void compare_with_poll(Trial& t, int fd, const char* when) {
  std::byte one[1] = {std::byte{'w'}};
  for (const bool reads : {true, false}) {
    const int bit = reads ? kReadable : kWritable;
    const int bits = poll_now(t, fd, bit) & bit;
    const bool ready = bits != 0;
    Sys<size_t> n = 0;
    t.must(reads ? "d_read with O_NONBLOCK" : "d_write with O_NONBLOCK",
           [&] { n = reads ? t.process().read(fd, one) : t.process().write(fd, one); });
    const char* what = reads ? "read" : "write";
    if (bits != 0 && bits != bit) {
      t.note(fmt::format("{}: poll says only one of {}", when,
                         reads ? "POLLIN and POLLRDNORM" : "POLLOUT and POLLWRNORM"));
    }
    if (ready && code_of(n) == EWOULDBLOCK) {
      t.note(fmt::format("{}: poll says {}able, {} says EWOULDBLOCK", when, what, what));
    }
    if (!ready && n.value_or(0) != 0) {
      t.note(fmt::format("{}: poll says not {}able, {} moves a byte", when, what, what));
    }
    if (!ready && reads && n && *n == 0) {
      t.note(fmt::format("{}: poll says not readable, read finds the end", when));
    }
  }
}

// FIONREAD says no less than a read then gets.
void compare_with_fionread(Trial& t, int fd) {
  int said = 0;
  Sys<int> asked;
  t.must("FIONREAD", [&] { asked = t.process().ioctl(fd, FIONREAD, &said); });
  if (!asked) return;
  std::vector<std::byte> much = some_bytes(size_t{1} << 16);
  Sys<size_t> n = 0;
  t.must("d_read with O_NONBLOCK", [&] { n = t.process().read(fd, much); });
  if (n && *n > static_cast<size_t>(std::max(said, 0))) {
    t.note(fmt::format("FIONREAD says {}, read gets {}", said, *n));
  }
  if (said > 0 && code_of(n) == EWOULDBLOCK) {
    t.note(fmt::format("FIONREAD says {}, read says EWOULDBLOCK", said));
  }
}

void poll_agrees_with_transfers(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    std::vector<int> fds = {open_device(t, device, O_RDWR | O_NONBLOCK)};
    exhaust(t, fds[0], UIO_READ);
    compare_with_poll(t, fds[0], "empty");
    exhaust(t, fds[0], UIO_WRITE);
    compare_with_poll(t, fds[0], "full");
    compare_with_fionread(t, fds[0]);
    exhaust(t, fds[0], UIO_READ);
    compare_with_poll(t, fds[0], "empty again");
    close_all(t, fds);
  }
}

// A level-triggered knote is there exactly when poll says so.
void kqueue_agrees_with_poll(Trial& t) {
  if (!t.load()) return;
  for (const std::string& device : t.devices()) {
    std::vector<int> fds = {open_device(t, device, O_RDWR | O_NONBLOCK)};
    for (const ::uio_rw direction : {UIO_READ, UIO_WRITE, UIO_READ}) {
      exhaust(t, fds[0], direction);
      const int revents = poll_now(t, fds[0], kReadable | kWritable);
      for (const short filter : {short{EVFILT_READ}, short{EVFILT_WRITE}}) {
        size_t fired = 0;
        bool watched = false;
        t.must("kevent", [&] {
          const int kq = t.process().kqueue().value();
          const ::kevent add = {static_cast<uintptr_t>(fds[0]), filter, EV_ADD, 0, 0, nullptr};
          watched = t.process().kevent(kq, {&add, 1}, {}, Duration::zero()).has_value();
          ::kevent event{};
          fired = t.process().kevent(kq, {}, {&event, 1}, Duration::zero()).value_or(0);
          static_cast<void>(t.process().close(kq));
        });
        const bool ready = (revents & (filter == EVFILT_READ ? kReadable : kWritable)) != 0;
        if (watched && ready != (fired != 0)) {
          t.note(fmt::format("{}: kqueue says {}, poll says {}",
                             filter == EVFILT_READ ? "EVFILT_READ" : "EVFILT_WRITE",
                             fired != 0 ? "ready" : "not ready", ready ? "ready" : "not ready"));
        }
      }
    }
    close_all(t, fds);
  }
}

// ---- Many at once

void use_at_random(Trial& t, const std::string& device, int rounds) {
  Process& p = t.process();
  Random& random = t.random();
  for (int i = 0; i < rounds; ++i) {
    const int flags = (random.one_in(2) ? O_NONBLOCK : 0) | (random.one_in(2)   ? O_RDWR
                                                             : random.one_in(2) ? O_RDONLY
                                                                                : O_WRONLY);
    const auto fd = p.open(device, flags);
    if (!fd) continue;
    std::vector<std::byte> buffer = some_bytes(1 + random.below(150));
    ::pollfd poll = {*fd, POLLIN | POLLOUT, 0};
    uint64_t argument[8] = {random.below(100)};
    switch (random.below(6)) {
      case 0: static_cast<void>(p.read(*fd, buffer)); break;
      case 1: static_cast<void>(p.write(*fd, buffer)); break;
      case 2: static_cast<void>(p.poll({&poll, 1}, Duration::zero())); break;
      case 3: static_cast<void>(p.ioctl(*fd, FIONREAD, argument)); break;
      case 4: static_cast<void>(p.map(*fd, 0, 4096, 1)); break;
      default:
        const int kq = p.kqueue().value();
        const ::kevent add = {static_cast<uintptr_t>(*fd), EVFILT_READ, EV_ADD, 0, 0, nullptr};
        ::kevent event{};
        static_cast<void>(p.kevent(kq, {&add, 1}, {&event, 1}, Duration::zero()));
        static_cast<void>(p.close(kq));
    }
    static_cast<void>(p.close(*fd));
  }
}

void crowd(Trial& t) {
  if (!t.load()) return;
  const std::vector<std::string> devices = t.devices();
  if (devices.empty()) return;
  for (int i = 0; i < 6; ++i) {
    const std::string& device = devices[t.random().below(devices.size())];
    t.machine().go(fmt::format("user {}", i), [&t, &device] { use_at_random(t, device, 8); });
  }
  if (t.random().one_in(2)) {
    t.machine().go("kldunload", [&t] {
      const std::vector<ModuleRow> rows = t.kernel().modules().rows();
      static_cast<void>(t.kernel().modules().unload(std::to_string(rows.front().id)));
    });
  }
  t.machine().run_for(1s);
  // Who is asleep may be so by right, for want of a partner: end() wakes them.
  t.end();
}

constexpr Check kChecks[] = {
    {"load", "Does it come and go, leaving nothing?", load_and_unload, 1, 0, false},
    {"names", "Is a name that exists an error, and no more?", names_that_exist, 1, 0, false},
    {"open", "Are opens and closes in any order fine?", opens_and_closes, 1, 0, false},
    {"transfer", "Are all sizes and offsets fine?", transfers_at_the_limits, 1, 0, false},
    {"nonblock", "Does O_NONBLOCK never sleep?", nonblocking_never_sleeps, 1, 0, false},
    {"ioctl", "Is every ioctl answered, the unknown with ENOTTY?", ioctls, 1, 0, false},
    {"mmap", "Is what it maps there?", mappings, 1, 0, false},
    {"poll", "Does poll agree with read and write?", poll_agrees_with_transfers, 1, 0, false},
    {"kqueue", "Does kqueue agree with poll?", kqueue_agrees_with_poll, 1, 0, false},
    {"wakeup", "Is every sleeper woken by its event?", every_sleeper_is_woken, 40, 3, false},
    {"signal", "Does a signal end every sleep?", signals_end_sleeps, 1, 0, false},
    {"unload", "Does kldunload end while somebody sleeps?", unload_while_blocked, 1, 0, false},
    {"race", "Do many at once, and an unload, leave all whole?", crowd, 100, 3, false},
    {"fault", "And with failing memory, copies, and signals?", crowd, 100, 3, true},
};

}  // namespace

std::span<const Check> conformance_checks() {
  return kChecks;
}

std::vector<Finding> run_check(const Check& check, ModuleLoader& loader, const std::string& driver,
                               uint64_t first_seed, uint32_t seeds) {
  std::vector<Finding> all;
  std::set<std::string> seen;
  const uint32_t trials = check.seeds == 1 ? 1 : seeds;
  for (uint64_t seed = first_seed; seed < first_seed + trials; ++seed) {
    Injection::Chances chances;
    if (check.injects_faults) chances = {0.2, 0.2, 0.05, 0.1};
    Trial trial(loader, {driver, seed, check.switch_one_in, chances});
    check.run(trial);
    trial.end();
    for (const std::string& text : trial.findings()) {
      if (seen.insert(text).second) all.push_back({seed, text});
    }
    // One that stays inside the driver has taken this trial's kernel with it; enough is known.
    if (trial.machine().unfinished() != 0) break;
  }
  return all;
}

}  // namespace wh::dev
