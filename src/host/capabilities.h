// What this machine and this user allow, asked by trying it, once.
//
// A test or a command that needs a privilege asks first, and skips or explains with the reason:
//
//   if (auto can = can_use_tap(); !can) GTEST_SKIP() << can.error().text;
#pragma once

#include "core/result.h"

namespace wh::host {

Result<void> can_make_netns();
Result<void> can_use_tap();  // In a namespace.

}  // namespace wh::host
