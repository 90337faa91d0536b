// packetdrill asks for TCP_INFO, which a script's code blocks assert on, with the C library's
// getsockopt() and not through the interface. So the program's own call is led here: for a
// descriptor of ours the object answers, for any other the C library does.
#pragma once

#include <sys/socket.h>

namespace wh::packetdrill {

using Getsockopt = int (*)(int fd, int level, int name, void* value, socklen_t* length);

// Replaces the address that the main program calls getsockopt() at. False when it has none, or the
// program is not one of this machine's usual form; then nothing has changed.
bool lead_getsockopt_to(Getsockopt replacement);

}  // namespace wh::packetdrill
