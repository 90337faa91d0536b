// Any UDP header that is a view emits back to the same bytes, and its payload ends within the
// packet.
#include "net/wire/udp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::net;
  for (const size_t packet_size : {size, size + 1400}) {
    const auto view = UdpView::parse({data, size}, packet_size);
    if (!view) {
      CHECK(to_string(view.fault()) != nullptr);
      continue;
    }
    CHECK(UdpHeader::kSize + view->payload_size() <= packet_size);
    uint8_t again[UdpHeader::kSize];
    view->header().emit(again);
    CHECK(std::memcmp(again, data, sizeof again) == 0);
  }
  return 0;
}
