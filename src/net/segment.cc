#include "net/segment.h"

#include <algorithm>

#include "net/wire/ip6.h"

namespace wh::net {

void append_range(Packet& to, const Packet& from, uint32_t offset, uint32_t size) {
  CHECK(offset + size <= from.size() && to.payload_size() == 0);
  const uint32_t head = from.head_size();
  const uint32_t in_head = offset < head ? std::min(size, head - offset) : 0;
  if (in_head > to.tailroom()) {
    // It would take three pieces: one chunk of its own instead.
    ChunkRef copy = ChunkRef::make(size);
    from.copy_out(offset, {copy->bytes(), size});
    to.append(Slice{std::move(copy), 0, size});
    return;
  }
  if (in_head != 0) std::memcpy(to.append(in_head), from.data() + offset, in_head);
  uint32_t skip = offset + in_head - head;  // Into the payload; meaningless when nothing is left.
  uint32_t left = size - in_head;
  for (const Slice& s : from.slices) {
    if (left == 0) break;
    if (skip >= s.size) {
      skip -= s.size;
      continue;
    }
    const uint32_t n = std::min(left, s.size - skip);
    to.append(s.sub(skip, n));
    left -= n;
    skip = 0;
  }
  CHECK_EQ(left, 0u);
}

void mend_ip(uint8_t* ip, const Piece& piece, uint32_t total) {
  if (ip[0] >> 4 == 6) {
    store16(ip + 4, static_cast<uint16_t>(total - Ip6Header::kSize));
    return;
  }
  store16(ip + 2, static_cast<uint16_t>(total));
  store16(ip + 4, static_cast<uint16_t>(load16(ip + 4) + piece.index));
  store16(ip + 10, 0);
  store16(ip + 10, header_checksum({ip, (ip[0] & 15u) * 4}));
}

void mend_tcp(uint8_t* tcp, const Piece& piece) {
  constexpr uint8_t kFin = 0x01, kPsh = 0x08, kCwr = 0x80;
  store32(tcp + 4, load32(tcp + 4) + piece.offset);
  if (!piece.is_last) tcp[13] = static_cast<uint8_t>(tcp[13] & ~(kFin | kPsh));
  if (piece.index != 0) tcp[13] = static_cast<uint8_t>(tcp[13] & ~kCwr);
}

InternetSum pseudo_header_at(const uint8_t* ip, uint8_t protocol, uint32_t length) {
  InternetSum sum;
  sum.add(ip[0] >> 4 == 4 ? std::span(ip + 12, 8) : std::span(ip + 8, 32));
  sum.add16(protocol);
  sum.add32(length);
  return sum;
}

}  // namespace wh::net
