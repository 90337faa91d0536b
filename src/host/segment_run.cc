#include "host/segment_run.h"

#include <algorithm>
#include <cstring>

#include "net/checksum.h"
#include "net/ip_service.h"
#include "net/wire/wire.h"

namespace wh::host {
namespace {

using net::load16;
using net::load32;
using net::store16;

constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kUrg = 0x20, kCwr = 0x80;
constexpr uint8_t kDontFragment = 0x40;
constexpr uint32_t kSequence = 4, kAcknowledgment = 8, kFlags = 13, kChecksum = 16;

}  // namespace

bool SegmentRun::begin(net::Packet& first) {
  segments_ = 0;
  const std::span<const uint8_t> head = first.head();
  if (first.gso_size != 0 || head.size() < kIpAt + 40) return false;
  const uint8_t* ip = head.data() + kIpAt;
  const uint16_t type = load16(head.data() + 12);
  is_v6_ = type == 0x86dd;
  if (is_v6_) {
    if (ip[0] >> 4 != 6 || ip[6] != net::kProtocolTcp) return false;
  } else {
    // No options, no fragment.
    if (type != 0x0800 || ip[0] != 0x45 || ip[9] != net::kProtocolTcp ||
        (load16(ip + 6) & 0x3fff) != 0) {
      return false;
    }
  }
  tcp_at_ = kIpAt + (is_v6_ ? 40 : 20);
  if (head.size() < tcp_at_ + 20) return false;
  const uint8_t* tcp = head.data() + tcp_at_;
  header_size_ = tcp_at_ + 4u * (tcp[12] >> 4);
  const uint32_t ip_size = is_v6_ ? 40u + load16(ip + 4) : load16(ip + 2);
  if (header_size_ < tcp_at_ + 20 || head.size() < header_size_ ||
      first.size() != kIpAt + ip_size || first.size() == header_size_ ||
      (tcp[kFlags] & (kFin | kSyn | kRst | kPsh | kUrg | kCwr)) != 0) {
    return false;
  }
  std::memcpy(headers_.data(), head.data(), header_size_);
  gso_size_ = payload_ = payload_of(first);
  segments_ = 1;
  first_ = &first;
  is_whole_ = false;
  return true;
}

bool SegmentRun::is_same_flow(const uint8_t* frame) const {
  const uint8_t* mine = headers_.data();
  const uint8_t *ip = frame + kIpAt, *my_ip = mine + kIpAt;
  const uint8_t *tcp = frame + tcp_at_, *my_tcp = mine + tcp_at_;
  // Ethernet addresses and type, and version, service and (IPv6) flow label.
  if (std::memcmp(frame, mine, kIpAt + (is_v6_ ? 4 : 2)) != 0) return false;
  if (is_v6_) {
    if (std::memcmp(ip + 6, my_ip + 6, 34) != 0) return false;
  } else if (std::memcmp(ip + 6, my_ip + 6, 4) != 0 || std::memcmp(ip + 12, my_ip + 12, 8) != 0 ||
             !is_identified(ip)) {
    return false;
  }
  return std::memcmp(tcp, my_tcp, 4) == 0 &&
         load32(tcp + kSequence) == load32(my_tcp + kSequence) + payload_ &&
         std::memcmp(tcp + kAcknowledgment, my_tcp + kAcknowledgment, 5) == 0 &&
         (tcp[kFlags] & ~(kFin | kPsh)) == my_tcp[kFlags] &&
         std::memcmp(tcp + 14, my_tcp + 14, 2) == 0 &&  // Window, and below urgent and options.
         std::memcmp(tcp + 18, my_tcp + 18, header_size_ - tcp_at_ - 18) == 0;
}

bool SegmentRun::is_identified(const uint8_t* ip) const {
  const bool may_change = identification_ == Identification::MayChange && (ip[6] & kDontFragment);
  const uint16_t mine = load16(headers_.data() + kIpAt + 4);
  return may_change || load16(ip + 4) == static_cast<uint16_t>(mine + segments_);
}

bool SegmentRun::is_verified(net::Packet& packet) const {
  if (packet.checksum != net::Checksum::Unknown) return true;
  const uint8_t* ip = packet.data() + kIpAt;
  if (!is_v6_ && net::header_checksum({ip, 20}) != 0) return false;
  net::InternetSum sum;
  sum.add(is_v6_ ? std::span(ip + 8, 32) : std::span(ip + 12, 8));
  sum.add16(net::kProtocolTcp);
  sum.add32(packet.size() - tcp_at_);
  packet.for_each_run(tcp_at_, [&](std::span<const uint8_t> run) { sum.add(run); });
  if (sum.checksum() != 0) return false;
  packet.checksum = net::Checksum::Verified;
  return true;
}

bool SegmentRun::append(net::Packet& next) {
  if (is_whole_ || next.gso_size != 0 || next.head_size() < header_size_) return false;
  const uint32_t size = next.size() - std::min(next.size(), header_size_);
  const uint8_t* frame = next.data();
  const uint8_t* ip = frame + kIpAt;
  const uint32_t ip_size = is_v6_ ? 40u + load16(ip + 4) : load16(ip + 2);
  if (size == 0 || size > gso_size_ || next.size() != kIpAt + ip_size ||
      header_size_ - kIpAt + payload_ + size > kMostBytes || !is_same_flow(frame) ||
      !is_verified(*first_) || !is_verified(next)) {
    return false;
  }
  const uint8_t flags = frame[tcp_at_ + kFlags];
  is_whole_ = size < gso_size_ || (flags & (kFin | kPsh)) != 0;
  headers_[tcp_at_ + kFlags] |= flags & (kFin | kPsh);
  payload_ += size;
  ++segments_;
  return true;
}

std::span<const uint8_t> SegmentRun::headers() {
  uint8_t* ip = headers_.data() + kIpAt;
  const uint32_t tcp_size = header_size_ - tcp_at_ + payload_;
  net::InternetSum pseudo;
  if (is_v6_) {
    store16(ip + 4, static_cast<uint16_t>(tcp_size));
    pseudo.add({ip + 8, 32});
  } else {
    store16(ip + 2, static_cast<uint16_t>(tcp_size + 20));
    store16(ip + 10, 0);
    store16(ip + 10, net::header_checksum({ip, 20}));
    pseudo.add({ip + 12, 8});
  }
  pseudo.add16(net::kProtocolTcp);
  pseudo.add32(tcp_size);
  store16(headers_.data() + tcp_at_ + kChecksum, pseudo.folded());
  return {headers_.data(), header_size_};
}

VirtioHeader SegmentRun::offload() const {
  VirtioHeader header;
  header.flags = VirtioHeader::kNeedsChecksum;
  header.gso_type = is_v6_ ? VirtioHeader::kGsoTcp6 : VirtioHeader::kGsoTcp4;
  header.header_size = static_cast<uint16_t>(header_size_);
  header.gso_size = static_cast<uint16_t>(gso_size_);
  header.checksum_start = static_cast<uint16_t>(tcp_at_);
  header.checksum_offset = kChecksum;
  return header;
}

uint32_t add_message(std::span<net::Packet* const> from, SegmentRun& run, VirtioHeader& header,
                     IoParts& parts) {
  net::Packet& first = *from.front();
  uint32_t taken = 1;
  if (run.begin(first)) {
    while (taken < from.size() && parts.has_room(taken + 1) && run.append(*from[taken])) ++taken;
  }
  const bool is_run = taken > 1;
  const auto described = is_run ? run.offload() : describe_offload(first);
  if (!described) return 0;
  header = *described;
  parts.add(&header, sizeof header);
  if (is_run) {
    const auto head = run.headers();
    parts.add(head.data(), head.size());
  }
  for (uint32_t i = 0; i < taken; ++i) {
    from[i]->for_each_run(is_run ? run.header_size() : 0, [&](std::span<const uint8_t> bytes) {
      parts.add(bytes.data(), bytes.size());
    });
  }
  return taken;
}

}  // namespace wh::host
