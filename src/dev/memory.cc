#include "dev/memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>

#include "dev/injection.h"

namespace wh::dev {
namespace {

constexpr unsigned char kTail[8] = {0xde, 0xad, 0xc0, 0xde, 0xde, 0xad, 0xc0, 0xde};
constexpr size_t kLargestBucket = 65536;
constexpr size_t kPage = 4096;

}  // namespace

struct alignas(16) Memory::Header {
  size_t size;
  ::malloc_type* type;
  ListLink on_type;

  void* payload() { return this + 1; }
  // malloc(9) gives whole pages from a page on, which a driver may map.
  static size_t room_before(size_t size) { return size < kPage ? sizeof(Header) : kPage; }
  void* block() { return static_cast<char*>(payload()) - room_before(size); }
  unsigned char* tail() { return static_cast<unsigned char*>(payload()) + size; }
  bool is_overrun() { return std::memcmp(tail(), kTail, sizeof kTail) != 0; }
};

struct Memory::Stats {
  IntrusiveList<Header, &Header::on_type> live;
  uint64_t in_use = 0, bytes = 0, requests = 0;
  std::set<size_t> sizes;
};

Memory::Memory(Machine& machine, Reports& reports, size_t limit)
    : machine_(machine), reports_(reports), limit_(limit) {
  add_type(devbuf_);
}

Memory::~Memory() {
  while (!types_.empty()) remove_type(*types_.begin()->first);
}

// malloc(9): powers of two, with a few sizes between.
size_t Memory::bucket_of(size_t size) {
  for (const size_t b : {16u, 32u, 64u, 128u, 256u, 384u, 512u}) {
    if (size <= b) return b;
  }
  size_t b = 1024;
  while (b < size && b < kLargestBucket) b *= 2;
  return size <= b ? b : (size + 4095) / 4096 * 4096;
}

void* Memory::allocate(size_t size, ::malloc_type& type, int flags) {
  machine_.point();
  const bool may_fail = (flags & M_NOWAIT) != 0;
  if (may_fail && injection_ != nullptr && injection_->no_memory()) return nullptr;
  const bool never = size > limit_;
  if (never && !may_fail) {
    reports_.blame(Misdeed::NoMemory,
                   fmt::format("malloc of {} bytes of {} with M_WAITOK; the kernel has {}", size,
                               type.ks_shortdesc, limit_));
    throw DriverAbort{ENOMEM};
  }
  if (never) return nullptr;
  const size_t bucket = bucket_of(size);
  const size_t before = Header::room_before(size);
  const size_t alignment = size < kPage ? alignof(Header) : kPage;
  const size_t whole = before + size + sizeof kTail;
  auto* block = static_cast<char*>(
      std::aligned_alloc(alignment, (whole + alignment - 1) / alignment * alignment));
  if (block == nullptr) {
    if (may_fail) return nullptr;
    throw DriverAbort{ENOMEM};
  }
  auto* header = reinterpret_cast<Header*>(block + before) - 1;  // Made below.
  {
    const MachineLock guard(machine_);
    const auto it = types_.find(&type);
    const bool full = used_ + bucket > limit_ && may_fail;
    if (it == types_.end() || full) {
      std::free(block);
      return nullptr;
    }
    new (header) Header{size, &type, {}};
    Stats& stats = *it->second;
    stats.live.push_back(*header);
    live_.insert(header);
    ++stats.in_use;
    ++stats.requests;
    stats.bytes += bucket;
    used_ += bucket;
    if (bucket <= kLargestBucket) stats.sizes.insert(bucket);
  }
  std::memcpy(header->tail(), kTail, sizeof kTail);
  // Fresh memory is not zero in a kernel; here it shows.
  std::memset(header->payload(), (flags & M_ZERO) != 0 ? 0 : 0xa5, size);
  return header->payload();
}

// The header of a live allocation of `type`, or null, with a report, when `p` is no such thing.
Memory::Header* Memory::header_of(void* p, ::malloc_type& type) {
  auto* header = static_cast<Header*>(p) - 1;
  // Look it up rather than read before a stray pointer: a driver's mistake must not become ours.
  if (!live_.contains(header)) {
    reports_.blame(Misdeed::BadFree, fmt::format("free of {} as {}", p, type.ks_shortdesc));
    return nullptr;
  }
  if (header->type != &type) {
    reports_.blame(Misdeed::WrongType, fmt::format("memory of {} freed as {}",
                                                   header->type->ks_shortdesc, type.ks_shortdesc));
  }
  if (header->is_overrun()) {
    reports_.blame(Misdeed::Overrun,
                   fmt::format("behind {} bytes of {}", header->size, header->type->ks_shortdesc));
  }
  return header;
}

void Memory::release(void* p, ::malloc_type& type) {
  if (p == nullptr) return;
  machine_.point();
  const MachineLock guard(machine_);
  Header* header = header_of(p, type);
  if (header == nullptr) return;
  Stats& stats = *types_.at(header->type);
  const size_t bucket = bucket_of(header->size);
  --stats.in_use;
  stats.bytes -= bucket;
  used_ -= bucket;
  header->on_type.unlink();
  live_.erase(header);
  std::memset(header->payload(), 0xdf, header->size);
  std::free(header->block());
}

void* Memory::reallocate(void* p, size_t size, ::malloc_type& type, int flags) {
  if (p == nullptr) return allocate(size, type, flags);
  size_t old = 0;
  {
    const MachineLock guard(machine_);
    Header* header = header_of(p, type);
    if (header == nullptr) return nullptr;
    old = header->size;
  }
  void* q = allocate(size, type, flags);
  if (q == nullptr) return nullptr;
  std::memcpy(q, p, std::min(old, size));
  release(p, type);
  return q;
}

void Memory::add_type(::malloc_type& type) {
  const MachineLock guard(machine_);
  types_[&type] = std::make_unique<Stats>();
}

void Memory::remove_type(::malloc_type& type) {
  std::unique_ptr<Stats> stats;
  {
    const MachineLock guard(machine_);
    const auto it = types_.find(&type);
    if (it == types_.end()) return;
    stats = std::move(it->second);
    types_.erase(it);
    used_ -= stats->bytes;
    for (Header* h = stats->live.front(); h != nullptr; h = stats->live.next(*h)) live_.erase(h);
  }
  if (stats->in_use != 0) {
    reports_.print(fmt::format(
        "Warning: memory type {} leaked memory on destroy ({} allocations, {} bytes leaked).\n",
        type.ks_shortdesc, stats->in_use, stats->bytes));
    reports_.blame(Misdeed::Leak, fmt::format("{} allocations, {} bytes of {}", stats->in_use,
                                              stats->bytes, type.ks_shortdesc));
  }
  while (Header* header = stats->live.pop_front()) {
    void* block = header->block();
    header->~Header();
    std::free(block);
  }
}

std::vector<Memory::Row> Memory::rows() const {
  const MachineLock guard(machine_);
  std::vector<Row> rows;
  for (const auto& [type, stats] : types_) {
    rows.push_back({type->ks_shortdesc,
                    stats->in_use,
                    stats->bytes,
                    stats->requests,
                    {stats->sizes.begin(), stats->sizes.end()}});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.type < b.type; });
  return rows;
}

std::string Memory::vmstat() const {
  std::string out =
      fmt::format("{:>16} {:>4} {:>5} {:>3} {}\n", "Type", "Use", "Memory", "Req", "Size(s)");
  for (const Row& row : rows()) {
    if (row.requests == 0) continue;  // As vmstat(8) does.
    out += fmt::format("{:>16} {:>4} {:>5} {:>4} {}\n", row.type, row.in_use, row.bytes,
                       row.requests, fmt::join(row.sizes, ","));
  }
  return out;
}

}  // namespace wh::dev
