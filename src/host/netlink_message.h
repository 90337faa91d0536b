// Netlink messages as bytes: a header, a fixed part, and attributes, which may nest (netlink(7)).
//
//   nlmsghdr | fixed part (ifinfomsg, rtmsg, ...) | rtattr value | rtattr ( rtattr value | ... )
//
// Every part is padded to four bytes. Only rtnetlink.cc uses this.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/check.h"

namespace wh::host {

class NetlinkRequest {
 public:
  // `fixed` is the struct that the message type begins with.
  template <class Fixed>
  NetlinkRequest(uint16_t type, uint16_t flags, const Fixed& fixed) {
    static_assert(std::is_trivially_copyable_v<Fixed>);
    put(nlmsghdr{0, type, static_cast<uint16_t>(flags | NLM_F_REQUEST), 0, 0});
    put(fixed);
  }

  void add(uint16_t type, std::span<const uint8_t> value) {
    put(rtattr{static_cast<uint16_t>(sizeof(rtattr) + value.size()), type});
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    pad();
  }
  void add(uint16_t type, uint32_t value) {
    // Sound: any object may be read as bytes.
    add(type, std::span(reinterpret_cast<const uint8_t*>(&value), sizeof value));
  }
  void add(uint16_t type, const std::string& text) {
    // Sound: characters may be read as bytes. The kernel wants the terminating zero.
    add(type, std::span(reinterpret_cast<const uint8_t*>(text.c_str()), text.size() + 1));
  }
  // Adds an attribute whose value is what `fill` adds.
  template <class Fill>
  void nest(uint16_t type, Fill fill) {
    const size_t at = bytes_.size();
    put(rtattr{0, type});
    fill();
    const auto size = static_cast<uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &size, sizeof size);
  }
  template <class Fixed>
  void put(const Fixed& fixed) {
    // Sound: a trivially copyable object may be read as bytes.
    const auto* at = reinterpret_cast<const uint8_t*>(&fixed);
    bytes_.insert(bytes_.end(), at, at + sizeof fixed);
    pad();
  }

  // The finished message. REQUIRES: nothing is added after.
  std::span<const uint8_t> finish(uint16_t extra_flags, uint32_t sequence) {
    nlmsghdr header;
    std::memcpy(&header, bytes_.data(), sizeof header);
    header.nlmsg_len = static_cast<uint32_t>(bytes_.size());
    header.nlmsg_flags = static_cast<uint16_t>(header.nlmsg_flags | extra_flags);
    header.nlmsg_seq = sequence;
    std::memcpy(bytes_.data(), &header, sizeof header);
    return bytes_;
  }

 private:
  void pad() { bytes_.resize((bytes_.size() + 3) / 4 * 4); }
  std::vector<uint8_t> bytes_;
};

// Calls fn(type, value) for each attribute in `bytes`; stops at one that does not fit.
template <class Fn>
void for_each_attribute(std::span<const uint8_t> bytes, Fn fn) {
  while (bytes.size() >= sizeof(rtattr)) {
    rtattr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.rta_len < sizeof header || header.rta_len > bytes.size()) return;
    fn(static_cast<uint16_t>(header.rta_type & NLA_TYPE_MASK),
       bytes.subspan(sizeof header, header.rta_len - sizeof header));
    const size_t padded = (header.rta_len + 3u) / 4 * 4;
    bytes = bytes.subspan(std::min(padded, bytes.size()));
  }
}

}  // namespace wh::host
