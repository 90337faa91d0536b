// Lab files and flow texts made of any bytes: read or refused with a reason, and what is read
// prints and reads back.
#include "lab/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto flow = wh::lab::parse_flow(text);
  if (flow) {
    const std::string printed = wh::lab::print_flow(*flow);
    CHECK(wh::lab::parse_flow(printed).has_value());
  } else {
    CHECK(!flow.error().text.empty());
  }
  const auto spec = wh::lab::parse_lab(text, "fuzz.toml");
  if (spec) {
    const std::string printed = wh::lab::print_lab(*spec);
    const auto again = wh::lab::parse_lab(printed, "fuzz.toml");
    CHECK(again.has_value());
    CHECK(wh::lab::print_lab(*again) == printed);
  } else {
    CHECK(spec.error().text.starts_with("fuzz.toml"));
  }
  return 0;
}
