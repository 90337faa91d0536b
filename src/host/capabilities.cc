#include "host/capabilities.h"

#include "host/netns.h"
#include "host/tap.h"

namespace wh::host {

namespace {

Result<void> try_netns() {
  TRY(Netns::make());
  return {};
}

Result<void> try_tap() {
  const Netns space = TRY(Netns::make());
  TRY(space.open([] { return open_tap("", Offload::None); }));
  return {};
}

}  // namespace

Result<void> can_make_netns() {
  static const Result<void> answer = try_netns();
  return answer;
}

Result<void> can_use_tap() {
  static const Result<void> answer = try_tap();
  return answer;
}

}  // namespace wh::host
