#include "vnet/segments.h"

#include "net/checksum.h"
#include "net/wire/tcp.h"
#include "net/wire/udp.h"

namespace wh::vnet {

using net::Packet;
using net::PacketPtr;

namespace {

constexpr uint8_t kFin = 0x01, kPsh = 0x08, kCwr = 0x80;

// Of the transport header at `at`; 0 when it is none that is cut behind.
uint32_t header_size(const Packet& p, const TransportPlace& place) {
  if (place.protocol == net::kProtocolUdp) return net::UdpHeader::kSize;
  if (place.protocol != net::kProtocolTcp) return 0;
  const uint32_t size = p.data()[place.offset + 12] / 16 * 4u;
  return size < net::TcpHeader::kMinSize ? 0 : size;
}

}  // namespace

std::optional<Segments> Segments::of(Packet& whole, uint32_t ip_at) {
  const auto place = find_offloaded(whole, ip_at);
  if (!place || whole.gso_size == 0) return std::nullopt;
  const uint32_t size = header_size(whole, *place);
  const uint32_t headers = place->offset + size;
  if (size == 0 || headers > place->end || !whole.pullup(headers)) return std::nullopt;
  return Segments(whole, ip_at, *place, headers);
}

uint32_t Segments::count() const {
  const uint32_t payload = place_.end - headers_, step = whole_->gso_size;
  return std::max(1u, (payload + step - 1) / step);
}

PacketPtr Segments::next(net::PacketPool& pool) {
  const uint32_t size = std::min<uint32_t>(whole_->gso_size, place_.end - at_);
  PacketPtr segment = pool.allocate();
  if (segment == nullptr) return segment;
  std::memcpy(segment->append(headers_), whole_->data(), headers_);
  mend_ip(*segment, headers_ - ip_at_ + size);
  mend_transport(*segment, size, at_ + size == place_.end);
  append_range(*segment, *whole_, at_, size);
  segment->trace = whole_->trace;
  segment->ecn = whole_->ecn;
  segment->interface = whole_->interface;
  segment->rx_interface = whole_->rx_interface;
  segment->table = whole_->table;
  segment->adjacency = whole_->adjacency;
  segment->l3_offset = whole_->l3_offset;
  segment->l4_offset = static_cast<uint16_t>(place_.offset);
  segment->checksum = net::Checksum::Needed;  // NAME-output completes it if the device does not.
  at_ += size;
  ++index_;
  return segment;
}

// Length, and in IPv4 an identification of its own.
void Segments::mend_ip(Packet& segment, uint32_t total) const {
  uint8_t* ip = segment.data() + ip_at_;
  if (ip[0] >> 4 == 6) {
    net::store16(ip + 4, static_cast<uint16_t>(total - net::Ip6Header::kSize));
    return;
  }
  net::store16(ip + 2, static_cast<uint16_t>(total));
  net::store16(ip + 4, static_cast<uint16_t>(net::load16(ip + 4) + index_));
  net::store16(ip + 10, 0);
  net::store16(ip + 10, net::header_checksum({ip, (ip[0] & 15u) * 4}));
}

// UDP: the length. TCP: sequence number and flags; FIN and PSH belong to the last, CWR to the first
// (RFC 3168 section 6.1.2).
void Segments::mend_transport(Packet& segment, uint32_t size, bool is_last) const {
  uint8_t* header = segment.data() + place_.offset;
  const uint32_t length = headers_ - place_.offset + size;
  if (place_.protocol == net::kProtocolUdp) {
    net::store16(header + 4, static_cast<uint16_t>(length));
  } else {
    net::store32(header + 4, net::load32(header + 4) + (at_ - headers_));
    if (!is_last) header[13] = static_cast<uint8_t>(header[13] & ~(kFin | kPsh));
    if (index_ != 0) header[13] = static_cast<uint8_t>(header[13] & ~kCwr);
  }
  const uint8_t* ip = segment.data() + ip_at_;
  net::InternetSum sum;
  sum.add(ip[0] >> 4 == 4 ? std::span(ip + 12, 8) : std::span(ip + 8, 32));
  sum.add16(place_.protocol);
  sum.add32(length);
  net::store16(header + net::checksum_offset(place_.protocol), sum.folded());
}

}  // namespace wh::vnet
