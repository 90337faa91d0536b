// What follows from giving an interface an address: routes, ownership, multicast groups, duplicate
// detection. Private to the room.
#pragma once

#include "vnet/stack.h"

namespace wh::vnet {

Result<void> add_address(Stack& stack, InterfaceEntry& entry, const net::Prefix& prefix);
Result<void> remove_address(Stack& stack, InterfaceEntry& entry, const net::IpAddress& address);

}  // namespace wh::vnet
