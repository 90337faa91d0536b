#include "vnet/segments.h"

#include "net/checksum.h"
#include "net/segment.h"
#include "net/wire/tcp.h"
#include "net/wire/udp.h"

namespace wh::vnet {

using net::Packet;
using net::PacketPtr;

namespace {

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
  const net::Piece piece{index_, at_ - headers_, at_ + size == place_.end};
  net::mend_ip(segment->data() + ip_at_, piece, headers_ - ip_at_ + size);
  mend_transport(*segment, piece, size);
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

void Segments::mend_transport(Packet& segment, const net::Piece& piece, uint32_t size) const {
  uint8_t* header = segment.data() + place_.offset;
  const uint32_t length = headers_ - place_.offset + size;
  if (place_.protocol == net::kProtocolUdp) {
    net::store16(header + 4, static_cast<uint16_t>(length));
  } else {
    net::mend_tcp(header, piece);
  }
  const uint8_t* ip = segment.data() + ip_at_;
  net::store16(header + net::checksum_offset(place_.protocol),
               net::pseudo_header_at(ip, place_.protocol, length).folded());
}

}  // namespace wh::vnet
