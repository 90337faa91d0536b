#include "apps/kyua_commands.h"

#include "kyua/cli/cli.h"

namespace wh::apps {

int kyua_main(int argc, char** argv) {
  return kyua::cli::main(argc, argv);
}

}  // namespace wh::apps
