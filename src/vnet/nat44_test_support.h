// A router that translates, between inside host a (10.1.0.2) and outside host b (10.2.0.2), which
// has no route back to a's network.
#pragma once

#include "vnet/nat44.h"
#include "vnet/test_support.h"

namespace wh::vnet {

class NatTest : public RouterTest {
 protected:
  static constexpr uint16_t kInside = 1, kOutside = 2;
  const net::Ip4 pool_address = net::Ip4::of(10, 2, 0, 1);  // The router's own outside address.
  NatTest() {
    MUST(b.remove_route(vnet::prefix("0.0.0.0/0")));
    MUST(r.nat44().add_address(pool_address));
    MUST(r.nat44().set_role(kInside, NatRole::Inside));
    MUST(r.nat44().set_role(kOutside, NatRole::Outside));
  }
};

}  // namespace wh::vnet
