#include "dev/fuse/stress.h"

#include <fmt/format.h>

#include <mutex>
#include <set>
#include <thread>

#include "core/random.h"
#include "dev/fuse/thread_machine.h"
#include "dev/kernel.h"
#include "dev/process.h"

namespace wh::dev {
namespace {

struct Stage {
  Stage(ModuleLoader& loader, const StressOptions& o)
      : options(o), kernel(machine, loader, {.seed = o.seed}), process(std::in_place, kernel) {
    kernel.reports().set_listener([this](Misdeed misdeed, const std::string& text) {
      if (misdeed == Misdeed::NoMemory) return;
      const std::lock_guard guard(mutex);
      findings.insert(fmt::format("{}: {}", to_string(misdeed), text));
    });
  }

  const StressOptions options;
  ThreadMachine machine;
  Kernel kernel;
  std::optional<Process> process;
  std::atomic<bool> ends{false};
  std::atomic<uint64_t> calls{0}, unloads{0};
  std::atomic<size_t> users{0};
  std::mutex mutex;
  std::set<std::string> findings;
};

void call_something(Process& p, int fd, Random& random) {
  std::byte buffer[150] = {};
  const auto some = std::span(buffer).first(1 + random.below(sizeof buffer));
  ::pollfd poll = {fd, POLLIN | POLLOUT, 0};
  uint64_t argument[8] = {};
  switch (random.below(6)) {
    case 0: static_cast<void>(p.read(fd, some)); break;
    case 1: static_cast<void>(p.write(fd, some)); break;
    case 2: static_cast<void>(p.poll({&poll, 1}, 1ms)); break;
    case 3: static_cast<void>(p.ioctl(fd, FIONREAD, argument)); break;
    case 4: static_cast<void>(p.set_status_flags(fd, random.one_in(2) ? O_NONBLOCK : 0)); break;
    default:
      const auto kq = p.kqueue();
      if (!kq) return;
      const ::kevent add = {static_cast<uintptr_t>(fd), EVFILT_READ, EV_ADD, 0, 0, nullptr};
      ::kevent event{};
      static_cast<void>(p.kevent(*kq, {&add, 1}, {&event, 1}, 1ms));
      static_cast<void>(p.close(*kq));
  }
}

void use(Stage& stage, uint64_t seed) {
  Random random(seed);
  while (!stage.ends) {
    const auto devices = stage.kernel.devfs().devices();
    if (devices.empty()) {
      std::this_thread::yield();
      continue;
    }
    const std::string& name = devices[random.below(devices.size())]->name();
    const auto fd = stage.process->open(name, O_RDWR | (random.one_in(2) ? O_NONBLOCK : 0));
    if (!fd) continue;
    for (uint64_t i = random.below(6); i != 0 && !stage.ends; --i) {
      call_something(*stage.process, *fd, random);
      ++stage.calls;
    }
    static_cast<void>(stage.process->close(*fd));
  }
  --stage.users;
}

void come_and_go(Stage& stage) {
  Modules& modules = stage.kernel.modules();
  while (!stage.ends) {
    if (auto id = modules.load(stage.options.driver); !id) {
      const std::lock_guard guard(stage.mutex);
      stage.findings.insert(id.error().text);
      break;
    }
    std::this_thread::sleep_for(20ms);
    while (!modules.unload(std::to_string(modules.rows().front().id)) && !stage.ends) {
      std::this_thread::sleep_for(1ms);
    }
    ++stage.unloads;
  }
  --stage.users;
}

// Whoever sleeps is signalled, as a shell would with Ctrl-C.
void signal_sleepers(Stage& stage) {
  const MachineLock guard(stage.machine);
  stage.machine.each_thread([&](::thread& td) {
    if (td.method.load() != nullptr) stage.kernel.sleepq().interrupt(td);
  });
}

}  // namespace

StressResult stress(ModuleLoader& loader, const StressOptions& options) {
  auto stage = std::make_shared<Stage>(loader, options);
  stage->users = options.threads + 1;
  std::thread([stage] { come_and_go(*stage); }).detach();
  for (size_t i = 0; i < options.threads; ++i) {
    std::thread([stage, seed = options.seed + i] { use(*stage, seed); }).detach();
  }
  const Instant end = stage->machine.now() + options.time, late = end + 5s;
  while (stage->users != 0 && stage->machine.now() < late) {
    std::this_thread::sleep_for(5ms);
    signal_sleepers(*stage);
    if (stage->machine.now() >= end) stage->ends = true;
  }
  StressResult result{stage->calls, stage->unloads, {}, stage->users == 0};
  if (!result.is_finished) {
    const MachineLock guard(stage->machine);
    stage->machine.each_thread([&](::thread& td) {
      const char* method = td.method.load();
      const char* wmesg = td.wmesg.load();
      if (method == nullptr) return;
      result.findings.push_back(
          fmt::format("{} never returned ({})", method, wmesg != nullptr ? wmesg : "running"));
    });
    return result;
  }
  stage->process.reset();
  stage->kernel.modules().unload_all();
  const std::lock_guard guard(stage->mutex);
  result.findings.assign(stage->findings.begin(), stage->findings.end());
  return result;
}

}  // namespace wh::dev
