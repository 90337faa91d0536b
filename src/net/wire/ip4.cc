#include "net/wire/ip4.h"

namespace wh::net {
namespace {

constexpr uint8_t kEndOfOptions = 0, kNoOperation = 1;

}  // namespace

void Ip4Header::emit(std::span<uint8_t> out) const {
  CHECK(out.size() >= size() && options_size % 4 == 0 && options_size <= options.size());
  CHECK(fragment_offset % 8 == 0 && total_length >= size());
  uint8_t* at = out.data();
  at[0] = static_cast<uint8_t>(0x40 | size() / 4);
  at[1] = tos;
  store16(at + 2, total_length);
  store16(at + 4, id);
  store16(at + 6, static_cast<uint16_t>((dont_fragment ? 0x4000 : 0) |
                                        (more_fragments ? 0x2000 : 0) | fragment_offset / 8));
  at[8] = ttl;
  at[9] = protocol;
  store16(at + 10, 0);
  store32(at + 12, source.value);
  store32(at + 16, destination.value);
  std::memcpy(at + kMinSize, options.data(), options_size);
  store16(at + 10, header_checksum(out.first(size())));
}

Ip4Header Ip4View::header() const {
  Ip4Header h;
  h.source = source();
  h.destination = destination();
  h.protocol = protocol();
  h.ttl = ttl();
  h.tos = tos();
  h.total_length = static_cast<uint16_t>(total_length());
  h.id = id();
  h.dont_fragment = dont_fragment();
  h.more_fragments = more_fragments();
  h.fragment_offset = static_cast<uint16_t>(fragment_offset());
  h.options_size = static_cast<uint8_t>(options().size());
  std::memcpy(h.options.data(), options().data(), options().size());
  return h;
}

// Each option but the one-byte ones has a length that covers its own two bytes and stays within the
// header.
uint32_t Ip4View::options_fault() const {
  const uint32_t size = header_size();
  for (uint32_t at = Ip4Header::kMinSize; at < size && at_[at] != kEndOfOptions;) {
    if (at_[at] == kNoOperation) {
      ++at;
      continue;
    }
    if (size - at < 2) return at;
    const uint32_t length = at_[at + 1];
    if (length < 2 || length > size - at) return at + 1;
    at += length;
  }
  return 0;
}

}  // namespace wh::net
