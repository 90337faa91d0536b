// Any bytes that are a DHCP message emit to a message that means the same, and no field of it lies
// outside of what it may be.
#include "net/wire/dhcp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh::net;
  const auto parsed = DhcpMessage::parse({data, size});
  if (!parsed) {
    CHECK(static_cast<size_t>(parsed.fault()) < kDhcpFaultNames.size());
    return 0;
  }
  const DhcpMessage& m = *parsed;
  CHECK(m.dns.size() <= DhcpMessage::kMaxServers);
  CHECK(m.client_id.size() <= 255 && m.relay_info.size() <= 255);
  CHECK(!to_string(m).empty());
  const auto bytes = m.emit();
  CHECK(bytes.size() >= 300);
  const auto again = DhcpMessage::parse(bytes);
  CHECK(again && *again == m);
  return 0;
}
