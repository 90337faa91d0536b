// Topology files made of any bytes: read or refused with a reason that names the file; what is read
// can be drawn in every way there is.
#include <nlohmann/json.hpp>

#include "lab/drawing.h"
#include "lab/topology.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto topology = wh::lab::parse_topology(text, "fuzz.toml");
  if (!topology) {
    CHECK(topology.error().text.starts_with("fuzz.toml"));
    return 0;
  }
  CHECK(wh::lab::to_text(*topology).starts_with("lab "));
  CHECK(wh::lab::to_svg(*topology).ends_with("</svg>\n"));
  CHECK(nlohmann::json::accept(wh::lab::to_json(*topology)));
  return 0;
}
