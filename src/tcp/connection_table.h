// The connections of a stack by their four-tuples.
//
// Open addressing with linear probing, at most half full. A slot holds the tuple's hash beside the
// pointer, so a search reads no connection but the one it finds; and that one's memory is asked for
// all at once before the first byte of it is looked at: among many it lies nowhere near, and its
// lines would be waited for one after the other. Strangers choose tuples, so the hash has a key.
//
// Ownership: none. Costs 32 to 64 bytes a connection.
#pragma once

#include <cstdint>
#include <vector>

#include "core/siphash.h"
#include "tcp/types.h"

namespace wh::tcp {

class Connection;

class ConnectionTable {
 public:
  explicit ConnectionTable(const SipKey& key) : key_(key), slots_(kFirstSlots) {}

  size_t size() const { return size_; }
  Connection* find(const Endpoint& local, const Endpoint& remote) const;
  // REQUIRES: no connection of the same four-tuple is in it.
  void insert(Connection& c);
  // REQUIRES: it is in it.
  void remove(const Connection& c);

  // Asks for the connection's memory, for whoever is about to work on it.
  static void prefetch(const Connection& c);

 private:
  static constexpr size_t kFirstSlots = 128;
  struct Slot {
    uint64_t hash = 0;
    Connection* connection = nullptr;
  };
  uint64_t hash_of(const Endpoint& local, const Endpoint& remote) const;
  size_t after(size_t at) const { return (at + 1) & (slots_.size() - 1); }
  void put(const Slot& slot);
  void grow();

  SipKey key_;
  std::vector<Slot> slots_;  // A power of two.
  size_t size_ = 0;
};

}  // namespace wh::tcp
