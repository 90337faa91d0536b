// Any frame is a view whose header emits back to the same bytes, or has a fault; and any frame has
// a line of text.
#include "net/wire/describe.h"
#include "net/wire/ethernet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::net;
  const std::span bytes(data, size);
  CHECK(!describe_ethernet(bytes, size).empty());
  CHECK(!describe_ethernet(bytes, size + 3000).empty());
  CHECK(!describe_ip(bytes, size).empty());
  CHECK(!describe_ip(bytes, size + 3000).empty());

  const auto view = EthernetView::parse(bytes);
  if (!view) {
    CHECK(to_string(view.fault()) != nullptr);
    return 0;
  }
  uint8_t again[EthernetHeader::kMaxSize];
  view->header().emit(again);
  CHECK(std::memcmp(again, data, view->header_size()) == 0);
  CHECK(EthernetView::parse(again)->header() == view->header());
  return 0;
}
