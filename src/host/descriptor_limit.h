// How many descriptors this process may have open at a time.
//
// A shell and systemd give 1024, which is what select(2) can bear, and allow hundreds of thousands
// to a program that does not use it: a server takes those, for each of its clients is one.
#pragma once

namespace wh::host {

// As many as there may be (the hard limit of getrlimit(2)), for this process and its children.
void allow_all_descriptors();

}  // namespace wh::host
