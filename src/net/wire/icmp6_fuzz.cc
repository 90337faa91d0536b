// Any ICMPv6 message that is a view emits its header back; what neighbour discovery says is the
// same after it was emitted and read again.
#include "net/wire/icmp6.h"

namespace wh::net {
namespace {

template <class Message>
void check_again(const Message& message, Message (Icmp6View::*read)() const) {
  uint8_t bytes[256];
  CHECK(message.size() <= sizeof bytes);
  const std::span out(bytes, message.size());
  message.emit(out);
  const auto second = Icmp6View::parse(out);
  CHECK(second.operator bool());
  CHECK(((*second).*read)() == message);
}

void check_neighbour_discovery(const Icmp6View& icmp) {
  switch (icmp.type()) {
    case Icmp6Type::NeighbourSolicitation:
      return check_again(icmp.neighbour_solicitation(), &Icmp6View::neighbour_solicitation);
    case Icmp6Type::NeighbourAdvertisement:
      return check_again(icmp.neighbour_advertisement(), &Icmp6View::neighbour_advertisement);
    case Icmp6Type::RouterSolicitation:
      return check_again(icmp.router_solicitation(), &Icmp6View::router_solicitation);
    case Icmp6Type::RouterAdvertisement:
      return check_again(icmp.router_advertisement(), &Icmp6View::router_advertisement);
    default: return;
  }
}

}  // namespace
}  // namespace wh::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::net;
  const auto view = Icmp6View::parse({data, size});
  if (!view) {
    CHECK(to_string(view.fault()) != nullptr);
    return 0;
  }
  uint8_t again[Icmp6Header::kSize];
  view->header().emit(again);
  CHECK(std::memcmp(again, data, sizeof again) == 0);
  CHECK(!to_string(*view).empty());
  if (view->is_error()) CHECK(view->quoted().total_length() >= Ip6Header::kSize);
  check_neighbour_discovery(*view);
  return 0;
}
