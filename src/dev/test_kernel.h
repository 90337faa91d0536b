// A kernel to test with: fibers, virtual time, the example drivers, and a record of what it said.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/virtual_loop.h"
#include "dev/fiber_machine.h"
#include "dev/fuse/shared_object_loader.h"
#include "dev/kernel.h"
#include "dev/process.h"

namespace wh::dev {

struct TestKernel {
  explicit TestKernel(FiberMachine::Options options = {}, size_t memory = size_t{16} << 20)
      : machine(loop, options),
        kernel(machine, loader,
               {.memory = memory, .console = [this](const std::string& s) { console += s; }}) {}

  void load(const std::string& driver) {
    const auto id = kernel.modules().load(driver);
    ASSERT_TRUE(id.has_value()) << id.error().text;
  }
  // open, one transfer, close: what a shell's redirection does.
  std::string cat(Process& p, const std::string& name, size_t size = 4096) {
    const auto fd = p.open(name, O_RDONLY);
    if (!fd) return "open: " + std::make_error_code(fd.error()).message();
    std::string out;
    std::vector<std::byte> buffer(size);
    for (;;) {
      const auto n = p.read(*fd, buffer);
      if (!n) out += "read: " + std::make_error_code(n.error()).message();
      if (!n || *n == 0) break;
      out += text({buffer.data(), *n});
    }
    static_cast<void>(p.close(*fd));
    return out;
  }
  Sys<size_t> echo(Process& p, const std::string& what, const std::string& name) {
    const auto fd = p.open(name, O_WRONLY);
    if (!fd) return tl::unexpected(fd.error());
    const auto n = p.write(*fd, bytes(what));
    static_cast<void>(p.close(*fd));
    return n;
  }

  VirtualLoop loop;
  FiberMachine machine;
  SharedObjectLoader loader{{WH_DRIVER_DIR}};
  std::string console;
  Kernel kernel;
};

// The errno of a call that failed; 0 when it did not.
template <class T>
int error_of(const Sys<T>& r) {
  return r ? 0 : static_cast<int>(r.error());
}

}  // namespace wh::dev
