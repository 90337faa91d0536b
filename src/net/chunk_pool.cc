#include "net/chunk_pool.h"

#include <cstdlib>

namespace wh::net {

ChunkRef ChunkShelf::hand_out(uint32_t capacity) {
  ++out_;
  if (unused_.empty()) {
    Chunk* chunk = Chunk::make(capacity);
    chunk->shelf_ = this;
    return ChunkRef(chunk);
  }
  Chunk* chunk = unused_.back();
  unused_.pop_back();
  chunk->references_ = 1;
  return ChunkRef(chunk);
}

void ChunkShelf::take_back(Chunk* chunk) {
  CHECK(out_ > 0);
  --out_;
  if (!is_closed_ && unused_.size() < keep_) {
    unused_.push_back(chunk);
    return;
  }
  std::free(chunk);
  if (is_closed_ && out_ == 0) delete this;
}

void ChunkShelf::close() {
  for (Chunk* chunk : unused_) std::free(chunk);
  unused_.clear();
  is_closed_ = true;
  if (out_ == 0) delete this;
}

}  // namespace wh::net
