// One trial of a driver: a kernel in virtual time, the driver in it, and what was found wrong.
//
// Everything runs in fibers, so that a method that does not return is a fact to note and not the
// end of the run: must() runs a step and notes when it has not come back once nobody can run. The
// rules that the kernel itself watches over (dev/reports.h) become findings, too.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/virtual_loop.h"
#include "dev/fiber_machine.h"
#include "dev/kernel.h"
#include "dev/process.h"

namespace wh::dev {

class Trial {
 public:
  struct Options {
    std::string driver;
    uint64_t seed = 1;
    uint32_t switch_one_in = 0;         // See FiberMachine.
    Injection::Chances injection = {};  // Faults, from the seed.
    size_t memory = size_t{16} << 20;   // Of the kernel.
  };
  Trial(ModuleLoader& loader, Options options);
  // Takes the driver out, by force if need be. REQUIRES: end() was called.
  ~Trial();

  // ---- Steps. Each runs in a fiber until nobody can run.
  // Whether it has come back by itself. If not, whoever sleeps in the driver is made to leave it.
  bool does(const std::string& name, std::function<void()> step);
  void must(const std::string& name, std::function<void()> step);
  Result<int> load();
  Result<void> unload();
  // Closes everything, unloads, and notes whatever is left.
  void end();

  void note(const std::string& finding);  // Once for each text.
  const std::vector<std::string>& findings() const { return findings_; }

  // The devices that the driver has made.
  std::vector<std::string> devices() const;
  const std::string& hung_on() const { return hung_on_; }
  std::string waiting() const;  // "reader: echord, kldunload: devdrn"

  Process& process() { return *process_; }
  Kernel& kernel() { return *kernel_; }
  FiberMachine& machine() { return *machine_; }
  Random& random() { return random_; }
  uint64_t seed() const { return options_.seed; }

 private:
  void wake_everybody();

  const Options options_;
  VirtualLoop loop_;
  Injection injection_;
  std::unique_ptr<FiberMachine> machine_;
  std::unique_ptr<Kernel> kernel_;
  std::optional<Process> process_;
  Random random_;
  std::vector<std::string> findings_;
  std::set<std::string> seen_;
  std::string hung_on_;  // By the last step that did not come back.
};

// Closes a descriptor in a step, when it is one.
void close_all(Trial& trial, std::vector<int>& descriptors);

}  // namespace wh::dev
