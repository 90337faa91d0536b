// parse_link_config: whatever is accepted prints as a text that means the same, and can be built
// and run.
#include <cstdlib>
#include <string_view>

#include "core/virtual_loop.h"
#include "net/link/link.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wh;
  using namespace wh::net;
  const auto config = parse_link_config({reinterpret_cast<const char*>(data), size});
  if (!config) {
    CHECK(!config.error().text.empty());
    return 0;
  }
  const auto again = parse_link_config(to_string(*config));
  CHECK(again.has_value() && *again == *config);
  // A trace's file is named only; whatever is in it, five opportunities will do.
  LinkConfig loaded = *config;
  const auto read = [](const std::string&) -> Result<std::string> { return std::string("1\n9\n"); };
  if (!load_traces(loaded, read)) return 0;
  VirtualLoop loop;
  PacketPool pool;
  Link link(loaded, {"a"}, {"b"}, loop, pool, Random(1));
  for (int i = 0; i < 20; ++i) {
    Frame frame;
    frame.push(pool.allocate());
    frame[0].append(60);
    link.a().transmit(std::move(frame));
    loop.run_for(1ms);
  }
  CHECK(link.check_conservation().has_value());
  return 0;
}
