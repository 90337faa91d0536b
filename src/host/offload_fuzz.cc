// Any virtio header before any frame, as a device reads them: it is refused, or what it asks for is
// done, described again or completed, and a segment in a tunnel is cut into pieces that hold its
// payload.
#include "host/offload.h"
#include "host/tunnel.h"
#include "net/checksum.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh;
  using namespace wh::host;
  VirtioHeader header;
  if (size < sizeof header + kHeadRead || size > kLargestSegment) return 0;
  std::memcpy(&header, data, sizeof header);
  const std::span frame(data + sizeof header, size - sizeof header);
  net::PacketPool pool;
  const net::PacketPtr packet = pool.allocate();
  std::memcpy(packet->append(kHeadRead), frame.data(), kHeadRead);
  const auto rest = frame.subspan(kHeadRead);
  packet->append({net::ChunkRef::copy_of(rest), 0, static_cast<uint32_t>(rest.size())});
  make_headers_contiguous(*packet);
  const Noted noted = note_offload(header, *packet);
  CHECK_EQ(packet->size(), frame.size());
  if (noted == Noted::Done) {
    (void)describe_offload(*packet);
    // As before a device that completes nothing.
    const bool is_complete = net::try_complete_checksum(*packet);
    CHECK(is_complete == (packet->checksum != net::Checksum::Needed));
  }
  if (noted != Noted::Tunnelled) return 0;
  auto segment = TunnelledSegment::find(header, *packet);
  size_t payload = 0, headers = 0;
  while (segment && !segment->is_done()) {
    const net::PacketPtr piece = pool.allocate();
    segment->next(*piece);
    // All but the last have as much payload as was asked for.
    if (headers == 0) headers = piece->size() - std::min<size_t>(piece->size(), header.gso_size);
    CHECK(segment->is_done() || piece->size() == headers + header.gso_size);
    payload += segment->is_done() ? size_t{0} : header.gso_size;
    CHECK(payload < frame.size());
    CHECK(piece->checksum == net::Checksum::Unknown && piece->gso_size == 0);
  }
  return 0;
}
