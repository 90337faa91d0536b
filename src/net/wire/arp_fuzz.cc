// Any ARP packet that is a view emits back to the same bytes.
#include "net/wire/arp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::net;
  const auto view = ArpView::parse({data, size});
  if (!view) {
    CHECK(to_string(view.fault()) != nullptr);
    return 0;
  }
  uint8_t again[ArpPacket::kSize];
  view->packet().emit(again);
  CHECK(std::memcmp(again, data, sizeof again) == 0);
  CHECK(!to_string(*view).empty());
  return 0;
}
