// The kernel's malloc(9), by malloc type, with the accounting that `vmstat -m` shows.
//
// Every allocation is one of the host's (so that address sanitisers see it) between a header, which
// knows size and type, and a tail of known bytes, which tells on a driver that wrote too far. Sizes
// count as FreeBSD's buckets would: a request of 80 bytes uses 128.
//
// The kernel has Config::memory bytes. M_NOWAIT beyond it is a null pointer. M_WAITOK gets what
// could come, without the wait; a request larger than the whole would wait for ever, so it is
// reported and ends the driver's method with ENOMEM, before anything was freed or stored.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "dev/reports.h"

namespace wh::dev {

class Injection;

class Memory {
 public:
  struct Row {  // One line of vmstat -m.
    std::string type;
    uint64_t in_use = 0;        // Allocations.
    uint64_t bytes = 0;         // In buckets.
    uint64_t requests = 0;      // Ever.
    std::vector<size_t> sizes;  // Buckets ever used.
  };

  Memory(Machine& machine, Reports& reports, size_t limit);
  ~Memory();

  // REQUIRES of all: `type` was added.
  void* allocate(size_t size, ::malloc_type& type, int flags);
  void* reallocate(void* p, size_t size, ::malloc_type& type, int flags);
  void release(void* p, ::malloc_type& type);

  void add_type(::malloc_type& type);
  // Reports what is still allocated, as FreeBSD does when a module's types go, and frees it.
  void remove_type(::malloc_type& type);
  ::malloc_type& devbuf() { return devbuf_; }

  std::vector<Row> rows() const;
  // The table as vmstat(8) prints it.
  std::string vmstat() const;
  size_t in_use() const { return used_; }
  void set_injection(Injection* injection) { injection_ = injection; }

 private:
  struct Header;
  struct Stats;
  static size_t bucket_of(size_t size);
  Header* header_of(void* p, ::malloc_type& type);

  Machine& machine_;
  Reports& reports_;
  const size_t limit_;
  size_t used_ = 0;
  Injection* injection_ = nullptr;
  std::map<::malloc_type*, std::unique_ptr<Stats>> types_;
  std::unordered_set<const Header*> live_;
  ::malloc_type devbuf_{"devbuf", "device driver memory", nullptr};
};

}  // namespace wh::dev
