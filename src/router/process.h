// A router as a process: loop, ports, socket, prompt and metrics put together as a start-up
// configuration says.
#pragma once

#include <string>

#include "router/startup.h"

namespace wh::router {

// Runs until quit, SIGTERM, or the end of the prompt's input. Returns the exit status. Errors: what
// the configuration asks for cannot be had; nothing runs then.
Result<int> run_router(const Startup& startup);

// Every method of the JSON socket with the schema of its values.
std::string schema_text();

}  // namespace wh::router
