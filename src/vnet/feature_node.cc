#include "vnet/feature_node.h"

#include "vnet/replica.h"

namespace wh::vnet {

void set_feature(Stack& stack, uint16_t interface, FeatureArc arc, std::string_view name, bool on) {
  uint8_t& mask = stack.interfaces[interface].features[static_cast<size_t>(arc)];
  const auto bit = static_cast<uint8_t>(1u << feature_position(arc, name));
  mask = static_cast<uint8_t>(on ? mask | bit : mask & ~bit);
  if (arc == FeatureArc::Ip4Output || arc == FeatureArc::Ip6Output) {
    const bool v4 = arc == FeatureArc::Ip4Output;
    stack.adjacencies.set_output(interface, v4 ? net::Family::V4 : net::Family::V6,
                                 static_cast<uint8_t>(feature_after(arc, -1, mask)));
  }
  note_shared_state(stack);
}

}  // namespace wh::vnet
