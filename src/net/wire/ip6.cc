#include "net/wire/ip6.h"

#include <algorithm>

namespace wh::net {

Ip6Header Ip6View::header() const {
  return {source(),
          destination(),
          next_header(),
          hop_limit(),
          traffic_class(),
          flow_label(),
          static_cast<uint16_t>(payload_length())};
}

std::optional<Ip6Fault> Ip6View::walk(Ip6Extensions& out) const {
  const size_t end = std::min<size_t>(head_.size(), total_length());
  for (uint32_t count = 0; is_extension(out.protocol); ++count) {
    if (count == kMaxExtensions) return Ip6Fault::TooManyExtensions;
    if (end - out.offset < 8) return Ip6Fault::ExtensionTruncated;
    const uint8_t* header = at() + out.offset;
    const uint32_t size = out.protocol == kIp6Fragment ? 8u : 8u * (header[1] + 1u);
    if (end - out.offset < size) return Ip6Fault::ExtensionTruncated;
    switch (out.protocol) {
      case kIp6HopByHop:
        if (count != 0) return Ip6Fault::HopByHopNotFirst;
        [[fallthrough]];
      case kIp6DestinationOptions:
        if (!check_options({header, size}, out.offset, out)) return Ip6Fault::BadOptions;
        break;
      case kIp6Routing:
        if (out.routing_at == 0) out.routing_at = out.offset;
        break;
      default:
        if (!out.has_fragment() || out.fragment.is_atomic()) {
          out.fragment_at = out.offset;
          out.fragment_protocol_at = out.protocol_at;
          out.fragment = {header[0], static_cast<uint16_t>(load16(header + 2) & 0xfff8),
                          (header[3] & 1) != 0, load32(header + 4)};
        }
    }
    const bool is_middle = out.protocol == kIp6Fragment && (load16(header + 2) & 0xfff8) != 0;
    out.protocol = header[0];
    out.protocol_at = out.offset;
    out.offset += size;
    if (is_middle) break;
  }
  return std::nullopt;
}

// Walks the options of a hop-by-hop or destination options header (RFC 8200 section 4.2). False
// when one does not end within the header. The two highest bits of a type say what to do with an
// unknown one; 00 is: skip.
bool Ip6View::check_options(std::span<const uint8_t> header, uint32_t offset, Ip6Extensions& out) {
  constexpr uint8_t kPad1 = 0;
  for (size_t i = 2; i < header.size();) {
    if (header[i] == kPad1) {
      ++i;
      continue;
    }
    if (header.size() - i < 2 || header.size() - i - 2 < header[i + 1]) return false;
    if ((header[i] & 0xc0) != 0 && out.unknown_option_at == 0) {
      out.unknown_option_at = offset + static_cast<uint32_t>(i);
    }
    i += 2u + header[i + 1];
  }
  return true;
}

}  // namespace wh::net
