// The least of programs at an end of a bulk flow: a source that writes one chunk by reference again
// and again, a sink that counts and throws away. What is measured with them is TCP and what lies
// below it.
#pragma once

#include "tcp/stack.h"

namespace wh::bench {

class BulkEnd final : public tcp::ConnectionObserver {
 public:
  void on_ready(tcp::Connection& c, uint8_t readiness) override {
    if ((readiness & tcp::kReadable) != 0) received += c.discard(SIZE_MAX);
    if ((readiness & tcp::kPeerClosed) != 0) c.shutdown_send();
    if ((readiness & (tcp::kWritable | tcp::kConnected)) != 0) write(c);
  }
  // Ends the stream: what was written is still delivered.
  void finish(tcp::Connection& c) {
    is_source = false;
    c.shutdown_send();
  }

  bool is_source = false;
  uint64_t received = 0, written = 0;

 private:
  void write(tcp::Connection& c) {
    while (is_source) {
      const auto taken = c.send(net::Slice{chunk_, 0, kChunk});
      if (taken) written += *taken;
      if (!taken || *taken < kChunk) return;
    }
  }
  static constexpr uint32_t kChunk = 65536;
  net::ChunkRef chunk_ = net::ChunkRef::make(kChunk);
};

}  // namespace wh::bench
