#include "net/wire/tcp.h"

namespace wh::net {
namespace {

// Option kinds (IANA, "TCP Option Kind Numbers").
constexpr uint8_t kEnd = 0, kNop = 1, kMss = 2, kWindowScale = 3, kSackPermitted = 4, kSack = 5,
                  kTimestamps = 8, kFastOpen = 34;

// Lays options out as FreeBSD's tcp_addoptions does: each kind at its own place within a word, with
// no-operations before it, and end-of-list and zeros up to the next word. Without a buffer it only
// counts.
class Writer {
 public:
  Writer(uint8_t* out, bool aligned) : out_(out), aligned_(aligned) {}

  // Writes an option's kind and size, so that used() % modulus is `place` before it (nothing of the
  // kind when the options are laid out closely). Returns where its value goes; null when counting.
  uint8_t* option(uint8_t kind, uint32_t size, uint32_t modulus, uint32_t place) {
    while (aligned_ && used_ % modulus != place) put(kNop);
    put(kind);
    put(static_cast<uint8_t>(size));
    uint8_t* at = out_ == nullptr ? nullptr : out_ + used_;
    used_ += size - 2;
    return at;
  }
  void finish() {
    while (used_ % 4 != 0) put(kEnd);
  }
  uint32_t used() const { return used_; }

 private:
  void put(uint8_t byte) {
    if (out_ != nullptr) out_[used_] = byte;
    ++used_;
  }
  uint8_t* out_;
  uint32_t used_ = 0;
  bool aligned_;
};

// Bytes taken, when laid out aligned or closely; written to `out` unless it is null.
uint32_t lay_out(const TcpOptions& o, bool aligned, uint8_t* out) {
  Writer w(out, aligned);
  if (o.mss) {
    uint8_t* at = w.option(kMss, 4, 4, 0);
    if (at != nullptr) store16(at, *o.mss);
  }
  if (o.window_scale) {
    uint8_t* at = w.option(kWindowScale, 3, 2, 1);
    if (at != nullptr) *at = *o.window_scale;
  }
  if (o.sack_permitted) w.option(kSackPermitted, 2, 2, 0);
  if (o.timestamps) {
    uint8_t* at = w.option(kTimestamps, 10, 4, 2);
    if (at != nullptr) {
      store32(at, o.timestamps->value);
      store32(at + 4, o.timestamps->echo);
    }
  }
  if (o.sack_count != 0) {
    uint8_t* at = w.option(kSack, 2 + 8u * o.sack_count, 4, 2);
    for (uint32_t i = 0; at != nullptr && i < o.sack_count; ++i) {
      store32(at + 8 * i, o.sack[i].begin.value());
      store32(at + 8 * i + 4, o.sack[i].end.value());
    }
  }
  if (o.fast_open) {
    uint8_t* at = w.option(kFastOpen, 2u + o.fast_open->size, 1, 0);
    if (at != nullptr) std::memcpy(at, o.fast_open->bytes.data(), o.fast_open->size);
  }
  w.finish();
  return w.used();
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
      o.sack = {};  // A second SACK option takes the place of the first.
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
  const uint32_t aligned = lay_out(*this, true, nullptr);
  return aligned <= kMaxSize ? aligned : lay_out(*this, false, nullptr);
}

void TcpOptions::emit(std::span<uint8_t> out) const {
  CHECK(sack_count <= kMaxSackBlocks);
  uint32_t bytes = lay_out(*this, true, nullptr);
  const bool aligned = bytes <= kMaxSize;
  if (!aligned) bytes = lay_out(*this, false, nullptr);
  CHECK(bytes <= kMaxSize && out.size() >= bytes);
  CHECK_EQ(lay_out(*this, aligned, out.data()), bytes);
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
