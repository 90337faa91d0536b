// The system calls behind the interface: a table of descriptors over one world, and the socket that
// `sysctl` and its like talk to.
#pragma once

#include <map>
#include <memory>

#include "packetdrill/control.h"
#include "packetdrill/descriptor.h"

namespace wh::packetdrill {

class Kernel {
 public:
  explicit Kernel(const Flags& flags) : world_(flags), control_(world_, *this) {}
  ~Kernel();

  World& world() { return world_; }
  // Null when there is no such descriptor.
  std::shared_ptr<Descriptor> find(int fd) const;
  Outcome add(std::shared_ptr<Descriptor> descriptor);
  Outcome socket(int domain, int type, int protocol);
  Outcome close(World::Lock& lock, int fd);
  Outcome poll(World::Lock& lock, std::span<pollfd> fds, int timeout_ms);
  Outcome splice(World::Lock& lock, int from, int to, size_t size, unsigned flags);
  const std::map<int, std::shared_ptr<Descriptor>>& descriptors() const { return table_; }

 private:
  World world_;
  // packetdrill closes what a script left open with the real close(): each number is a real
  // descriptor's, held for nothing else.
  std::map<int, std::shared_ptr<Descriptor>> table_;
  Control control_;
};

}  // namespace wh::packetdrill
