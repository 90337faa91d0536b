#include "net/link/corrupt.h"

#include "net/checksum.h"
#include "net/wire/ethernet.h"

namespace wh::net {

void Corrupt::flip_a_bit(Packet& packet) {
  const auto ethernet = EthernetView::parse(packet.head());
  if (!ethernet) return;
  if (ethernet->type() != EtherType::Ip4 && ethernet->type() != EtherType::Ip6) return;
  const uint32_t header = ethernet->header_size();
  if (packet.size() == header) return;
  if (packet.checksum == Checksum::Needed) {
    // A stranger's headers may have no place for it.
    const auto field = finished_checksum(packet, header);
    if (field) store16(packet.data() + field->offset, field->value);
  }
  const uint64_t bit = random_.below(uint64_t{packet.size() - header} * 8);
  const auto at = static_cast<uint32_t>(header + bit / 8);
  const auto mask = static_cast<uint8_t>(1u << bit % 8);
  if (at < packet.head_size()) {
    packet.head()[at] ^= mask;
  } else {
    packet.unshare_payload()[at - packet.head_size()] ^= mask;
  }
  packet.checksum = Checksum::Unknown;
  ++counters_.corrupted;
}

}  // namespace wh::net
