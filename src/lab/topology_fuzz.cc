// Topology files made of any bytes: read or refused with a reason that names the file; what is read
// can be drawn, and a small one in virtual time is built or refused with a reason.
#include "lab/topology.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/virtual_loop.h"
#include "lab/drawing.h"
#include "lab/world.h"

namespace {

// Building runs a router's commands, and some of those write files; it reads the traces of links.
bool may_be_built(const wh::lab::Topology& t) {
  constexpr size_t kMost = 6;
  return !t.is_real() && t.hosts.size() <= kMost && t.links.size() <= kMost &&
         t.flows.size() <= kMost &&
         std::all_of(t.flows.begin(), t.flows.end(),
                     [](const wh::lab::FlowSpec& flow) { return flow.count <= kMost; }) &&
         std::all_of(t.links.begin(), t.links.end(),
                     [](const wh::lab::CableSpec& link) {
                       return link.config.find("trace") == link.config.npos;
                     }) &&
         std::all_of(t.hosts.begin(), t.hosts.end(),
                     [](const wh::lab::PlaceSpec& host) { return host.commands.empty(); });
}

}  // namespace

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
  if (!may_be_built(*topology)) return 0;
  wh::VirtualLoop loop;
  const auto world = wh::lab::World::build(*topology, loop, nullptr);
  CHECK(world.has_value() || !world.error().text.empty());
  return 0;
}
