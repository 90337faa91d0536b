// Labs that stay up: a process keeps each, and everything in it lives as long as that process.
//
//   /run/wheelhouse/labs/NAME/     (as for jails: $WHEELHOUSE_RUN, or the user's run-time folder)
//     lock                         locked by the keeper for as long as it lives; its process id
//     lab.toml                     what was brought up
//     HOST.sock                    a router's commands
//
// So `kill -9` of the keeper takes the lab down too, and the next command that looks sweeps the
// folder away.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "lab/topology.h"

namespace wh::lab {

// Makes the caller root of users of its own unless it is root already, so that it may make and wire
// jails; where they are registered stays. For good.
Result<void> become_builder();

// Returns once the lab is up, with its programs ready; a process keeps it. Errors: a lab of that
// name is up; what could not be made. Nothing is left then.
Result<void> bring_up(const Topology& topology, const std::string& text);
// Returns when nothing of it is left. Errors: no such lab is up.
Result<void> take_down(const std::string& name);
// The names of labs that are up.
Result<std::vector<std::string>> labs_up();
// A router's socket in a lab.
std::string router_socket(const std::string& lab, const std::string& host);

}  // namespace wh::lab
