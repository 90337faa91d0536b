// echoctl: the articles' program for their echo device.
//
// The device is $WH_DEV/echo, or the file that -f names, on a mount of `wh dev`. What Linux's
// kernel would answer in the device's place (FIONREAD) is asked under FreeBSD's own numbers, which
// reach the driver; kqueue, which Linux has not, goes through the mount's control file.
#include "../examples/dev/echo/echodev.h"

#include <fcntl.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "apps/commands.h"
#include "apps/parse.h"
#include "dev/fuse/client.h"
#include "dev/kpi.h"
#include "host/system.h"

namespace wh::apps {
namespace {

struct EchoctlOptions {
  std::string file;
  size_t size = 0;
  bool reads = false, writes = false, waits = false;
  int events() const {
    const int chosen = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0);
    return chosen != 0 ? chosen : POLLIN | POLLOUT;
  }
};

Result<host::Fd> open_device(const EchoctlOptions& o, int flags) {
  if (o.file.empty()) {
    return fail("no device named: give -f PATH, or set WH_DEV to a mount (see `wh dev mount`)");
  }
  return host::open_file(o.file, flags);
}

template <class T>
Result<void> control(const host::Fd& device, unsigned long cmd, const char* name, T* argument) {
  if (::ioctl(device.raw(), cmd, argument) != 0) return host::os_error("ioctl({})", name);
  return {};
}

Result<void> size(const EchoctlOptions& o) {
  const host::Fd device = TRY(open_device(o, O_RDONLY));
  size_t n = 0;
  TRY(control(device, ECHODEV_GBUFSIZE, "ECHODEV_GBUFSIZE", &n));
  fmt::print("{}\n", n);
  return {};
}

Result<void> resize(const EchoctlOptions& o) {
  const host::Fd device = TRY(open_device(o, O_RDWR));
  size_t n = o.size;
  return control(device, ECHODEV_SBUFSIZE, "ECHODEV_SBUFSIZE", &n);
}

Result<void> clear(const EchoctlOptions& o) {
  const host::Fd device = TRY(open_device(o, O_RDWR));
  return control(device, ECHODEV_CLEAR, "ECHODEV_CLEAR", static_cast<char*>(nullptr));
}

std::string event_names(int revents) {
  constexpr std::pair<int, const char*> kNames[] = {
      {POLLIN, "POLLIN"}, {POLLOUT, "POLLOUT"}, {POLLERR, "POLLERR"}, {POLLHUP, "POLLHUP"}};
  std::vector<const char*> set;
  for (const auto& [bit, name] : kNames) {
    if ((revents & bit) != 0) set.push_back(name);
  }
  return set.empty() ? "<none>" : fmt::format("{}", fmt::join(set, "|"));
}

Result<void> poll(const EchoctlOptions& o) {
  const host::Fd device = TRY(open_device(o, O_RDONLY));
  ::pollfd p = {device.raw(), static_cast<short>(o.events()), 0};
  if (::poll(&p, 1, o.waits ? -1 : 0) < 0) return host::os_error("poll");
  fmt::print("Returned events: {}\n", event_names(p.revents));
  int n = 0;
  if ((p.revents & POLLIN) != 0) {
    TRY(control(device, FIONREAD, "FIONREAD", &n));
    fmt::print("{} bytes available to read\n", n);
  }
  if ((p.revents & POLLOUT) != 0) {
    TRY(control(device, FIONWRITE, "FIONWRITE", &n));
    fmt::print("room to write {} bytes\n", n);
  }
  return {};
}

void print_event(const ::kevent& event) {
  const char* name = event.filter == EVFILT_READ ? "EVFILT_READ" : "EVFILT_WRITE";
  const char* flags = (event.flags & EV_EOF) != 0 ? "EV_EOF " : "";
  if ((event.flags & EV_ERROR) != 0) {
    fmt::print("{}: EV_ERROR {}\n", name, event.data);
  } else {
    fmt::print("{}: {}{} bytes\n", name, flags, event.data);
  }
  std::fflush(stdout);
}

Result<void> events(const EchoctlOptions& o) {
  const host::Fd device = TRY(open_device(o, O_RDONLY));
  dev::Client client = TRY(dev::Client::open_above(o.file));
  const uintptr_t ident = TRY(dev::Client::descriptor_of(device.raw()));
  std::vector<::kevent> changes;
  if ((o.events() & POLLIN) != 0) {
    changes.push_back({ident, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, nullptr});
  }
  if ((o.events() & POLLOUT) != 0) {
    changes.push_back({ident, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, nullptr});
  }
  TRY(client.kevent(changes, {}, Duration::zero()));
  const std::optional<Duration> timeout =
      o.waits ? std::nullopt : std::optional<Duration>(Duration::zero());
  for (;;) {
    ::kevent event{};
    if (TRY(client.kevent({}, {&event, 1}, timeout)) == 0) return {};
    print_event(event);
    // The device is gone; nothing more will come.
    if ((event.flags & (EV_EOF | EV_ONESHOT)) == (EV_EOF | EV_ONESHOT)) return {};
  }
}

void add_event_flags(CLI::App& command, EchoctlOptions& o) {
  command.add_flag("-r", o.reads, "Only: can it be read?");
  command.add_flag("-w", o.writes, "Only: can it be written?");
  command.add_flag("-W", o.waits, "Wait for it");
}

struct Command {
  const char* name;
  const char* does;
  Result<void> (*run)(const EchoctlOptions&);
};

constexpr Command kCommands[] = {
    {"size", "Print the size of the buffer", size},
    {"resize", "Set the size of the buffer", resize},
    {"clear", "Clear the buffer", clear},
    {"poll", "Ask poll(2) for the device's state", poll},
    {"events", "Print what kqueue(2) reports", events},
};

}  // namespace

int echoctl_main(int argc, char** argv) {
  CLI::App app("Talks to the echo device.", "echoctl");
  app.footer("Example:\n  export WH_DEV=/tmp/dev; echoctl size; echoctl -f $WH_DEV/echo0 poll -r");
  app.require_subcommand(1);
  EchoctlOptions options;
  if (const char* mount = std::getenv("WH_DEV"); mount != nullptr) {
    options.file = std::string(mount) + "/echo";
  }
  app.add_option("-f", options.file, "The device [$WH_DEV/echo]");
  std::vector<CLI::App*> commands;
  for (const Command& command : kCommands) {
    commands.push_back(app.add_subcommand(command.name, command.does)->fallthrough());
  }
  commands[1]->add_option("size", options.size, "Bytes")->required()->transform(whole_number());
  add_event_flags(*commands[3], options);
  add_event_flags(*commands[4], options);
  if (const auto status = parse(app, argc, argv)) return *status;
  for (size_t i = 0; i < commands.size(); ++i) {
    if (!commands[i]->parsed()) continue;
    const Result<void> done = kCommands[i].run(options);
    if (done) return kYes;
    fmt::print(stderr, "echoctl: {}\n", done.error().text);
    return kNo;
  }
  return kUsage;
}

}  // namespace wh::apps
