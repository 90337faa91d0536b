// Chunks of one size that are used again and again: what a device reads into.
//
// The chunk given back last is the one handed out next, while its bytes are still in the cache; the
// heap is asked only when more are out than ever before. At most `keep` lie unused, the rest goes
// back to the heap. Chunks may outlive their pool: a receive buffer may hold bytes of a device that
// is gone.
// Threads: a pool and its chunks belong to one loop.
#pragma once

#include <cstddef>
#include <vector>

#include "net/packet.h"

namespace wh::net {

// A pool's part that lives as long as its last chunk.
class ChunkShelf {
 public:
  ChunkRef hand_out(uint32_t capacity);
  void take_back(Chunk* chunk);
  void close();  // No pool any more: goes with its last chunk, or now.

 private:
  friend class ChunkPool;
  explicit ChunkShelf(size_t keep) : keep_(keep) { unused_.reserve(keep); }
  size_t keep_;
  size_t out_ = 0;
  bool is_closed_ = false;
  std::vector<Chunk*> unused_;
};

class ChunkPool {
 public:
  ChunkPool(uint32_t capacity, size_t keep) : capacity_(capacity), shelf_(new ChunkShelf(keep)) {}
  ~ChunkPool() { shelf_->close(); }
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  // Bytes as their last user left them.
  ChunkRef allocate() { return shelf_->hand_out(capacity_); }
  uint32_t capacity() const { return capacity_; }
  size_t in_use() const { return shelf_->out_; }
  size_t unused() const { return shelf_->unused_.size(); }

 private:
  uint32_t capacity_;
  ChunkShelf* shelf_;  // Deletes itself.
};

}  // namespace wh::net
