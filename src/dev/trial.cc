#include "dev/trial.h"

#include <fmt/format.h>

namespace wh::dev {

Trial::Trial(ModuleLoader& loader, Options options)
    : options_(std::move(options)),
      injection_(options_.seed, options_.injection),
      machine_(std::make_unique<FiberMachine>(
          loop_, FiberMachine::Options{options_.seed, options_.switch_one_in})),
      kernel_(std::make_unique<Kernel>(
          *machine_, loader, Kernel::Config{.memory = options_.memory, .seed = options_.seed})),
      process_(std::in_place, *kernel_),
      random_(options_.seed) {
  kernel_->set_injection(&injection_);
  kernel_->reports().set_listener([this](Misdeed misdeed, const std::string& text) {
    // Asking for more than there is is the program's doing, and comes back to it as ENOMEM.
    if (misdeed != Misdeed::NoMemory) note(fmt::format("{}: {}", to_string(misdeed), text));
  });
}

Trial::~Trial() {
  kernel_->reports().set_listener(nullptr);
  if (machine_->unfinished() == 0) return;
  // Somebody is inside the driver for ever, on a stack of ours: all of it stays.
  static_cast<void>(kernel_.release());
  static_cast<void>(machine_.release());
}

void Trial::note(const std::string& finding) {
  if (seen_.insert(finding).second) findings_.push_back(finding);
}

bool Trial::does(const std::string& name, std::function<void()> step) {
  ::thread& td = machine_->go(name, std::move(step));
  machine_->run();
  // A pause of the driver's own is no hang.
  if (!machine_->is_done(td)) machine_->run_for(100ms);
  if (machine_->reap(td)) return true;
  hung_on_ = waiting();
  // The step refers to what its caller has; it must end before the caller goes on.
  wake_everybody();
  CHECK(machine_->reap(td));
  return false;
}

void Trial::must(const std::string& name, std::function<void()> step) {
  if (!does(name, std::move(step))) note(fmt::format("{} does not return ({})", name, hung_on_));
}

// Ends every sleep in the driver: with a signal, or against its will.
void Trial::wake_everybody() {
  const auto everybody = [&](auto act) {
    {
      const MachineLock guard(*machine_);
      machine_->each_thread([&](::thread& td) {
        if (&td != &machine_->current()) act(td);
      });
    }
    machine_->run_for(1s);
  };
  // Who sleeps again is signalled again: one of a crowd may do so by right in each of eight calls.
  constexpr int kMostSleeps = 10;
  for (int i = 0; i < kMostSleeps && machine_->unfinished() != 0; ++i) {
    everybody([&](::thread& td) { kernel_->sleepq().interrupt(td); });
  }
  if (machine_->unfinished() == 0) return;
  note(fmt::format("signals do not end: {}", waiting()));
  everybody([&](::thread& td) { kernel_->sleepq().abort(td); });
}

Result<int> Trial::load() {
  Result<int> id = 0;
  must("kldload", [&] { id = kernel_->modules().load(options_.driver); });
  return id;
}

Result<void> Trial::unload() {
  Result<void> done;
  const std::vector<ModuleRow> rows = kernel_->modules().rows();
  if (rows.empty()) return done;
  must("kldunload", [&] {
    done = kernel_->modules().unload(std::to_string(rows.front().id), Modules::Force::No);
  });
  return done;
}

void Trial::end() {
  wake_everybody();
  kernel_->set_injection(nullptr);
  must("close", [&] { process_.reset(); });
  if (const Result<void> done = unload(); !done) {
    note(fmt::format("with everything closed: {}", done.error().text));
  }
  must("unload", [&] { kernel_->modules().unload_all(); });
}

std::vector<std::string> Trial::devices() const {
  std::vector<std::string> names;
  for (const auto& device : kernel_->devfs().devices()) names.push_back(device->name());
  return names;
}

std::string Trial::waiting() const {
  const std::vector<std::string> names = machine_->waiting();
  return names.empty() ? "running" : fmt::format("{}", fmt::join(names, ", "));
}

void close_all(Trial& trial, std::vector<int>& descriptors) {
  for (const int fd : descriptors) {
    trial.must("close", [&] { static_cast<void>(trial.process().close(fd)); });
  }
  descriptors.clear();
}

}  // namespace wh::dev
