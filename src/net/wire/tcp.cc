#include "net/wire/tcp.h"

#include <utility>

namespace wh::net {
namespace {

// Option kinds (IANA, "TCP Option Kind Numbers").
constexpr uint8_t kEnd = 0, kNop = 1, kMss = 2, kWindowScale = 3, kSackPermitted = 4, kSack = 5,
                  kTimestamps = 8, kFastOpen = 34;

// Appends options to a buffer of kMaxSize bytes; `aligned` puts no-operations before those that
// want it.
class Writer {
 public:
  Writer(std::span<uint8_t> out, bool aligned) : out_(out), aligned_(aligned) {}

  // Makes room for an option of `size` bytes and writes its kind and size; returns where its value
  // goes.
  uint8_t* option(uint8_t kind, uint32_t size) {
    while (aligned_ && (used_ + size) % 4 != 0) put(kNop);
    put(kind);
    put(static_cast<uint8_t>(size));
    uint8_t* at = out_.data() + used_;
    used_ += size - 2;
    CHECK(used_ <= out_.size());
    return at;
  }
  // Without a no-operation, whatever the alignment.
  uint8_t* option_close(uint8_t kind, uint32_t size) {
    const bool aligned = std::exchange(aligned_, false);
    uint8_t* at = option(kind, size);
    aligned_ = aligned;
    return at;
  }
  void finish() {
    while (used_ % 4 != 0) put(kEnd);
  }
  uint32_t used() const { return used_; }

 private:
  void put(uint8_t byte) {
    CHECK(used_ < out_.size());
    out_[used_++] = byte;
  }
  std::span<uint8_t> out_;
  uint32_t used_ = 0;
  bool aligned_;
};

constexpr uint32_t round_up4(uint32_t n) {
  return (n + 3) & ~3u;
}

// The size of all options end to end, and with each padded to whole words. SACK-permitted rides in
// the two bytes before the timestamps.
uint32_t close_size(const TcpOptions& o) {
  return (o.mss ? 4u : 0u) + (o.sack_permitted ? 2u : 0u) + (o.timestamps ? 10u : 0u) +
         (o.window_scale ? 3u : 0u) + (o.sack_count != 0 ? 2 + 8u * o.sack_count : 0u) +
         (o.fast_open ? 2u + o.fast_open->size : 0u);
}
uint32_t aligned_size(const TcpOptions& o) {
  return (o.mss ? 4u : 0u) +
         (o.timestamps       ? 12u
          : o.sack_permitted ? 4u
                             : 0u) +
         (o.window_scale ? 4u : 0u) + (o.sack_count != 0 ? 4 + 8u * o.sack_count : 0u) +
         (o.fast_open ? round_up4(2u + o.fast_open->size) : 0u);
}

// Takes one option whose bytes, kind and length included, are `bytes`. False when its length is not
// its kind's.
bool take(TcpOptions& o, std::span<const uint8_t> bytes) {
  const uint8_t* value = bytes.data() + 2;
  const size_t length = bytes.size();
  switch (bytes[0]) {
    case kMss:
      if (length != 4) return false;
      o.mss = load16(value);
      return true;
    case kWindowScale:
      if (length != 3) return false;
      o.window_scale = value[0];
      return true;
    case kSackPermitted:
      if (length != 2) return false;
      o.sack_permitted = true;
      return true;
    case kTimestamps:
      if (length != 10) return false;
      o.timestamps = TcpTimestamps{load32(value), load32(value + 4)};
      return true;
    case kSack: {
      const size_t blocks = (length - 2) / 8;
      if (blocks == 0 || (length - 2) % 8 != 0) return false;  // Forty bytes cannot hold over four.
      o.sack_count = static_cast<uint8_t>(blocks);
      for (size_t i = 0; i < blocks; ++i) {
        o.sack[i] = {SeqNum(load32(value + 8 * i)), SeqNum(load32(value + 8 * i + 4))};
      }
      return true;
    }
    case kFastOpen: {
      const size_t size = length - 2;
      if (size != 0 && (size < 4 || size > FastOpenCookie::kMaxSize || size % 2 != 0)) return false;
      o.fast_open = FastOpenCookie{static_cast<uint8_t>(size), {}};
      std::memcpy(o.fast_open->bytes.data(), value, size);
      return true;
    }
    default: return true;
  }
}

}  // namespace

TcpOptions TcpOptions::parse(std::span<const uint8_t> bytes) {
  CHECK(bytes.size() <= kMaxSize);
  TcpOptions o;
  while (!bytes.empty() && bytes[0] != kEnd) {
    size_t length = 1;
    if (bytes[0] != kNop) {
      if (bytes.size() < 2 || bytes[1] < 2 || bytes[1] > bytes.size()) {
        o.malformed = true;
        break;
      }
      length = bytes[1];
      if (!take(o, bytes.first(length))) o.malformed = true;
    }
    bytes = bytes.subspan(length);
  }
  return o;
}

uint32_t TcpOptions::size() const {
  const uint32_t aligned = aligned_size(*this);
  return aligned <= kMaxSize ? aligned : round_up4(close_size(*this));
}

void TcpOptions::emit(std::span<uint8_t> out) const {
  const uint32_t bytes = size();
  CHECK(bytes <= kMaxSize && out.size() >= bytes && sack_count <= kMaxSackBlocks);
  const bool aligned = bytes == aligned_size(*this);
  Writer w(out.first(bytes), aligned);
  if (mss) store16(w.option(kMss, 4), *mss);
  if (sack_permitted) {
    // Two bytes that bring the timestamps' values onto a word, or two with no-operations before
    // them.
    timestamps ? w.option_close(kSackPermitted, 2) : w.option(kSackPermitted, 2);
  }
  if (timestamps) {
    uint8_t* at = w.option(kTimestamps, 10);
    store32(at, timestamps->value);
    store32(at + 4, timestamps->echo);
  }
  if (window_scale) *w.option(kWindowScale, 3) = *window_scale;
  if (sack_count != 0) {
    uint8_t* at = w.option(kSack, 2 + 8u * sack_count);
    for (uint32_t i = 0; i < sack_count; ++i, at += 8) {
      store32(at, sack[i].begin.value());
      store32(at + 4, sack[i].end.value());
    }
  }
  if (fast_open) {
    std::memcpy(w.option(kFastOpen, 2u + fast_open->size), fast_open->bytes.data(),
                fast_open->size);
  }
  w.finish();
  CHECK_EQ(w.used(), bytes);
}

void TcpHeader::emit(std::span<uint8_t> out) const {
  CHECK(out.size() >= size() && flags.bits < 0x1000);
  uint8_t* at = out.data();
  store16(at, source_port);
  store16(at + 2, destination_port);
  store32(at + 4, seq.value());
  store32(at + 8, ack.value());
  store16(at + 12, static_cast<uint16_t>(size() / 4 << 12 | flags.bits));
  store16(at + 14, window);
  store16(at + 16, checksum);
  store16(at + 18, urgent);
  options.emit(out.subspan(kMinSize));
}

}  // namespace wh::net
