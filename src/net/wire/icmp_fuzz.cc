// Any ICMP message that is a view emits its header back, and the packet an error quotes can be
// read.
#include "net/wire/icmp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::net;
  const auto view = IcmpView::parse({data, size});
  if (!view) {
    CHECK(to_string(view.fault()) != nullptr);
    return 0;
  }
  uint8_t again[IcmpHeader::kSize];
  view->header().emit(again);
  CHECK(std::memcmp(again, data, sizeof again) == 0);
  CHECK(!to_string(*view).empty());
  if (view->is_error()) {
    CHECK(view->quoted().header_size() <= view->payload().size());
    CHECK(view->quoted_transport().size() >= 8);
    CHECK(view->quoted_transport().data() + view->quoted_transport().size() == data + size);
  }
  return 0;
}
