// The base of nodes that stand on a feature arc (vnet/features.h), and turning them on and off.
#pragma once

#include "vnet/nodes.h"

namespace wh::vnet {

class FeatureNode : public graph::Node {
 protected:
  // `more` are next nodes beside those of the arc; their arcs begin at more().
  FeatureNode(Stack& stack, FeatureArc arc, const std::string& name,
              std::vector<graph::ErrorSpec> errors, const std::vector<std::string>& more = {})
      : Node({.name = name,
              .next = features_after(arc, feature_position(arc, name)) + more,
              .errors = std::move(errors)}),
        stack_(stack),
        arc_(arc),
        position_(feature_position(arc, name)) {}

  // Where a packet goes that this feature lets pass.
  graph::Arc next(const net::Packet& p) const {
    const uint8_t enabled = stack_.interfaces[p.interface].features[static_cast<size_t>(arc_)];
    return static_cast<graph::Arc>(1 + feature_after(arc_, position_, enabled));
  }
  graph::Arc more() const {
    const size_t following = feature_order(arc_).size - static_cast<size_t>(position_);
    return static_cast<graph::Arc>(1 + following);
  }
  // Where the IP header is: at data() on an input arc, behind the link header on an output arc.
  static uint8_t* ip_of(net::Packet& p) { return p.data() + p.l3_offset; }

  Stack& stack_;

 private:
  FeatureArc arc_;
  int position_;
};

// Enables a node of an arc on an interface, or disables it. REQUIRES: the arc has a node of that
// name.
void set_feature(Stack& stack, uint16_t interface, FeatureArc arc, std::string_view name, bool on);

}  // namespace wh::vnet
