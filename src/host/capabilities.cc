#include "host/capabilities.h"

#include "host/netns.h"
#include "host/tap.h"

namespace wh::host {

Result<void> can_make_netns() {
  TRY(Netns::make());
  return {};
}

Result<void> can_use_tap() {
  const Netns space = TRY(Netns::make());
  TRY(space.open([] { return open_tap("", Offload::None); }));
  return {};
}

}  // namespace wh::host
