// Any IPv4 header that is a view emits back to itself, keeps a right checksum when it is forwarded,
// and would be one without the bytes behind it. A header whose only fault is its checksum is mended
// and tried again.
#include "net/wire/ip4.h"

namespace wh::net {
namespace {

void check_accepted(const Ip4View& ip, size_t size) {
  CHECK(ip.header_size() + ip.payload_size() == ip.total_length() && ip.total_length() <= size);
  CHECK(Ip4View::parse(ip.bytes(), size).operator bool());

  const Ip4Header header = ip.header();
  CHECK(header.size() == ip.header_size());
  uint8_t again[Ip4Header::kMaxSize];
  header.emit(again);
  const std::span bytes(again, header.size());
  const auto second = Ip4View::parse(bytes, size);
  CHECK(second && second->header() == header);

  set_ip4_ecn(bytes, 3);
  CHECK(Ip4View::parse(bytes, size).operator bool());
}

}  // namespace
}  // namespace wh::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::net;
  for (const size_t packet_size : {size, size + 1400}) {
    const auto view = Ip4View::parse({data, size}, packet_size);
    if (view) {
      check_accepted(*view, packet_size);
    } else if (view.fault() == Ip4Fault::BadChecksum) {
      uint8_t mended[Ip4Header::kMaxSize];
      const std::span header(mended, 4u * (data[0] & 15u));
      std::memcpy(mended, data, header.size());
      store16(mended + 10, 0);
      store16(mended + 10, header_checksum(header));
      const auto second = Ip4View::parse(header, packet_size);
      CHECK(second.operator bool());
      check_accepted(*second, packet_size);
    } else {
      CHECK(to_string(view.fault()) != nullptr);
    }
  }
  return 0;
}
