// lwIP as an end of a bulk flow on a TAP device; its headers and ours do not meet.
#pragma once

namespace wh::bench {

// lwIP with the address 10.0.0.1/24 on the TAP descriptor `tap`: takes connections on port 5001 and
// throws away what comes, or connects to 10.0.0.2 port 5001 and sends without end. Runs until the
// process is killed.
[[noreturn]] void run_lwip(int tap, bool sends);

}  // namespace wh::bench
