// Any IPv6 header that is a view emits back to the same bytes, and its chain of extension headers
// ends within the packet, however long or looped it is made to look.
#include "net/wire/ip6.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::net;
  for (const size_t packet_size : {size, size + 1400}) {
    const auto view = Ip6View::parse({data, size}, packet_size);
    if (!view) {
      CHECK(to_string(view.fault()) != nullptr);
      continue;
    }
    uint8_t again[Ip6Header::kSize];
    view->header().emit(again);
    CHECK(std::memcmp(again, data, sizeof again) == 0);

    Ip6Extensions chain;
    if (const auto fault = view->extensions(chain)) {
      CHECK(to_string(*fault) != nullptr);
      continue;
    }
    CHECK(chain.offset <= size && chain.offset <= view->total_length());
    CHECK(chain.offset % 8 == 0 && chain.protocol_at < chain.offset);
    CHECK(data[chain.protocol_at] == chain.protocol);
    CHECK(chain.unknown_option_at < chain.offset);
    if (chain.has_fragment()) {
      CHECK(chain.fragment_at + Ip6FragmentHeader::kSize <= chain.offset);
      CHECK(data[chain.fragment_protocol_at] == kIp6Fragment);
    } else {
      CHECK(!Ip6View::is_extension(chain.protocol));
    }
  }
  return 0;
}
