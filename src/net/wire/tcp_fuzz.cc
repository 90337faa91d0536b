// Any TCP header that is a view, whatever its options, says the same after it was emitted and read
// again.
#include "net/wire/tcp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::net;
  for (const size_t segment_size : {size, size + 1400}) {
    const auto view = TcpView::parse({data, size}, segment_size);
    if (!view) {
      CHECK(to_string(view.fault()) != nullptr);
      continue;
    }
    CHECK(view->header_size() + view->payload_size() == segment_size);
    CHECK(!to_string(*view).empty());
    TcpHeader header = view->header();
    header.options.malformed = false;
    if (const auto timestamps = view->sole_timestamps()) {
      CHECK(header.options.timestamps == timestamps);
    }
    CHECK(header.size() <= TcpHeader::kMaxSize);
    uint8_t again[TcpHeader::kMaxSize];
    header.emit(again);
    const auto second = TcpView::parse({again, header.size()});
    CHECK(second && second->header() == header);
    CHECK(std::memcmp(again, data, 12) == 0);
  }
  return 0;
}
