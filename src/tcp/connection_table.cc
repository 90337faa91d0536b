#include "tcp/connection_table.h"

#include <cstring>
#include <utility>

#include "core/units.h"
#include "tcp/connection.h"

namespace wh::tcp {
namespace {

uint64_t mix(uint64_t a, uint64_t b) {
  const Uint128 product = Uint128(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

uint64_t ConnectionTable::hash_of(const Endpoint& local, const Endpoint& remote) const {
  uint64_t a, b, c;
  std::memcpy(&a, remote.address.bits.bytes.data(), 8);
  std::memcpy(&b, remote.address.bits.bytes.data() + 8, 8);
  std::memcpy(&c, local.address.bits.bytes.data(), 8);
  const uint64_t ports = uint64_t{local.table} << 32 | uint64_t{local.port} << 16 | remote.port;
  const uint64_t h = mix(a ^ key_.low, b ^ key_.high ^ ports);
  return mix(h ^ c, key_.low | 1);
}

void ConnectionTable::prefetch(const Connection& c) {
  const auto* bytes = reinterpret_cast<const char*>(&c);  // Sound: only their addresses are used.
#pragma GCC unroll 64
  for (size_t at = 0; at < sizeof c; at += 64) __builtin_prefetch(bytes + at);
}

Connection* ConnectionTable::find(const Endpoint& local, const Endpoint& remote) const {
  const uint64_t hash = hash_of(local, remote);
  for (size_t at = hash & (slots_.size() - 1);; at = after(at)) {
    const Slot& slot = slots_[at];
    if (slot.connection == nullptr) return nullptr;
    if (slot.hash != hash) continue;
    prefetch(*slot.connection);
    if (slot.connection->remote() == remote && slot.connection->local() == local)
      return slot.connection;
  }
}

void ConnectionTable::insert(Connection& c) {
  if (2 * (size_ + 1) > slots_.size()) grow();
  put({hash_of(c.local(), c.remote()), &c});
  ++size_;
}

void ConnectionTable::put(const Slot& slot) {
  size_t at = slot.hash & (slots_.size() - 1);
  while (slots_[at].connection != nullptr) at = after(at);
  slots_[at] = slot;
}

// What was placed behind it because its place was taken moves up, so that no search ends too soon.
void ConnectionTable::remove(const Connection& c) {
  const size_t mask = slots_.size() - 1;
  size_t hole = hash_of(c.local(), c.remote()) & mask;
  while (slots_[hole].connection != &c) hole = after(hole);
  for (size_t at = after(hole); slots_[at].connection != nullptr; at = after(at)) {
    const size_t home = slots_[at].hash & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;  // Its home lies behind the hole.
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = {};
  --size_;
}

void ConnectionTable::grow() {
  const size_t size = slots_.size() * 2;
  for (const Slot& slot : std::exchange(slots_, std::vector<Slot>(size))) {
    if (slot.connection != nullptr) put(slot);
  }
}

}  // namespace wh::tcp
