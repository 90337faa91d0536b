// TCP headers and options (RFC 9293; RFC 7323 window scale and timestamps; RFC 2018 and 2883 SACK;
// RFC 7413 Fast Open).
//
// parse() checks the header's length. options() never fails: as the stacks in use do, it keeps what
// was read up to an option whose length is impossible and skips unknown options and known ones of a
// wrong length. `malformed` then says so, for a counter. Values are as on the wire: clamping a
// window scale above 14 (RFC 7323 section 2.3) or refusing a tiny MSS is TCP's affair. The checksum
// is taken and given as it stands.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "net/seq.h"
#include "net/wire/wire.h"

namespace wh::net {

enum class TcpFault : uint8_t { Truncated, BadHeaderLength };
inline constexpr std::array kTcpFaultNames = {"tcp truncated", "tcp bad header length"};
inline const char* to_string(TcpFault f) {
  return kTcpFaultNames[static_cast<size_t>(f)];
}

// The twelve bits beside the data offset: nine flags and three reserved bits, kept as they came.
struct TcpFlags {
  uint16_t bits = 0;
  constexpr bool operator==(const TcpFlags&) const = default;
  constexpr TcpFlags operator|(TcpFlags o) const { return {static_cast<uint16_t>(bits | o.bits)}; }
  constexpr TcpFlags operator&(TcpFlags o) const { return {static_cast<uint16_t>(bits & o.bits)}; }
  constexpr TcpFlags& operator|=(TcpFlags o) { return *this = *this | o; }
  constexpr bool has(TcpFlags o) const { return (bits & o.bits) == o.bits; }  // All of them.
  constexpr bool has_any(TcpFlags o) const { return (bits & o.bits) != 0; }
};
constexpr TcpFlags kTcpFin{0x001}, kTcpSyn{0x002}, kTcpRst{0x004}, kTcpPsh{0x008}, kTcpAck{0x010},
    kTcpUrg{0x020}, kTcpEce{0x040}, kTcpCwr{0x080}, kTcpAe{0x100};  // AE: RFC 9768.

struct SackBlock {
  SeqNum begin, end;  // [begin, end)
  constexpr bool operator==(const SackBlock&) const = default;
};

struct TcpTimestamps {
  uint32_t value = 0, echo = 0;
  constexpr bool operator==(const TcpTimestamps&) const = default;
};

struct FastOpenCookie {
  static constexpr uint32_t kMaxSize = 16;
  uint8_t size = 0;  // 0: a request for one. Else 4 to 16 and even.
  std::array<uint8_t, kMaxSize> bytes{};
  bool operator==(const FastOpenCookie&) const = default;
};

struct TcpOptions {
  static constexpr uint32_t kMaxSize = 40;
  static constexpr uint32_t kMaxSackBlocks = 4;

  std::optional<uint16_t> mss;
  std::optional<uint8_t> window_scale;
  bool sack_permitted = false;
  uint8_t sack_count = 0;
  bool malformed = false;  // Set by parsing only; see above.
  std::optional<TcpTimestamps> timestamps;
  std::array<SackBlock, kMaxSackBlocks> sack{};
  std::optional<FastOpenCookie> fast_open;

  bool operator==(const TcpOptions&) const = default;
  std::span<const SackBlock> sack_blocks() const { return {sack.data(), sack_count}; }
  // REQUIRES: sack_count < kMaxSackBlocks.
  void add_sack(SackBlock block) {
    CHECK(sack_count < kMaxSackBlocks);
    sack[sack_count++] = block;
  }

  static TcpOptions parse(std::span<const uint8_t> bytes);
  // Bytes when emitted, a multiple of four. They are laid out in aligned words, or closely when
  // only that fits. More than kMaxSize: too many options were asked for.
  uint32_t size() const;
  // Writes size() bytes. REQUIRES: size() <= kMaxSize, out.size() >= size().
  void emit(std::span<uint8_t> out) const;
};

// How many SACK blocks fit beside timestamps (RFC 2018 section 3).
constexpr uint32_t sack_room(bool with_timestamps) {
  return with_timestamps ? 3 : 4;
}

struct TcpHeader {
  static constexpr uint32_t kMinSize = 20;
  static constexpr uint32_t kMaxSize = 60;

  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  SeqNum seq, ack;
  TcpFlags flags;
  uint16_t window = 0;  // Unscaled.
  uint16_t checksum = 0;
  uint16_t urgent = 0;
  TcpOptions options;

  bool operator==(const TcpHeader&) const = default;
  uint32_t size() const { return kMinSize + options.size(); }
  // What the header at `bytes`, of which kMinSize are there, says of its size, right or wrong.
  static uint32_t size_at(const uint8_t* bytes) { return 4u * (bytes[12] >> 4); }
  // Writes size() bytes. REQUIRES: out.size() >= size() and the options fit.
  void emit(std::span<uint8_t> out) const;
};

class TcpView {
 public:
  // `head` begins at the TCP header; `size` is the length of the segment, header and payload.
  static Parsed<TcpView, TcpFault> parse(std::span<const uint8_t> head, size_t size) {
    if (head.size() < TcpHeader::kMinSize || size < TcpHeader::kMinSize) return TcpFault::Truncated;
    const TcpView tcp(head.data(), static_cast<uint32_t>(size));
    if (tcp.header_size() < TcpHeader::kMinSize) return TcpFault::BadHeaderLength;
    if (tcp.header_size() > size) return TcpFault::BadHeaderLength;
    if (tcp.header_size() > head.size()) return TcpFault::Truncated;
    return tcp;
  }
  static Parsed<TcpView, TcpFault> parse(std::span<const uint8_t> whole) {
    return parse(whole, whole.size());
  }

  uint16_t source_port() const { return load16(at_); }
  uint16_t destination_port() const { return load16(at_ + 2); }
  SeqNum seq() const { return SeqNum(load32(at_ + 4)); }
  SeqNum ack() const { return SeqNum(load32(at_ + 8)); }
  uint32_t header_size() const { return TcpHeader::size_at(at_); }
  TcpFlags flags() const { return {static_cast<uint16_t>(load16(at_ + 12) & 0x0fff)}; }
  bool has(TcpFlags f) const { return flags().has(f); }
  uint16_t window() const { return load16(at_ + 14); }
  uint16_t checksum() const { return load16(at_ + 16); }
  uint16_t urgent() const { return load16(at_ + 18); }
  uint32_t payload_size() const { return size_ - header_size(); }
  // Sequence numbers the segment takes: its payload, SYN and FIN (RFC 9293 section 3.4, SEG.LEN).
  SeqLen seq_len() const {
    return SeqLen(payload_size() + (has(kTcpSyn) ? 1 : 0) + (has(kTcpFin) ? 1 : 0));
  }
  std::span<const uint8_t> option_bytes() const {
    return {at_ + TcpHeader::kMinSize, header_size() - TcpHeader::kMinSize};
  }
  TcpOptions options() const { return TcpOptions::parse(option_bytes()); }
  // The timestamps when they are the only option, aligned as RFC 7323 appendix A recommends: the
  // usual data segment, read without a walk.
  std::optional<TcpTimestamps> sole_timestamps() const {
    constexpr uint32_t kNopNopTimestamps = 0x0101080a;
    if (header_size() != 32 || load32(at_ + 20) != kNopNopTimestamps) return std::nullopt;
    return TcpTimestamps{load32(at_ + 24), load32(at_ + 28)};
  }
  TcpHeader header() const {
    return {source_port(), destination_port(), seq(),    ack(),    flags(),
            window(),      checksum(),         urgent(), options()};
  }

 private:
  TcpView(const uint8_t* at, uint32_t size) : at_(at), size_(size) {}
  const uint8_t* at_;
  uint32_t size_;
};

// "Flags [S.], seq 1, ack 2, win 65535, options [mss 1460,sackOK], length 0"
std::string to_string(const TcpView& tcp);
std::string to_string(const TcpOptions& options);
std::string to_string(TcpFlags flags);

}  // namespace wh::net
