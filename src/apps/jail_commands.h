// jail(8), jls(8), jexec(8) and the parts of ifconfig(8) and route(8) that wire jails, on Linux
// namespaces (src/jail).
//
// argv[0] is the command's name. Exit status: 0; 1, the answer is no (no such jail, the command
// inside failed); 2, asked wrongly or the machine cannot. `jail -c command=...` and jexec yield the
// command's own status.
#pragma once

#include <string_view>

#include "core/result.h"

namespace wh::apps {

// A status for an error: no such jail is an answer, everything else a failure.
int report_jail_error(std::string_view command, const Error& error);

int jail_main(int argc, char** argv);
int jls_main(int argc, char** argv);
int jexec_main(int argc, char** argv);
int ifconfig_main(int argc, char** argv);
int route_main(int argc, char** argv);

}  // namespace wh::apps
