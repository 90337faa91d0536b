// kyua(1): see kyua/cli/cli.h.
#pragma once

namespace wh::apps {

int kyua_main(int argc, char** argv);

}  // namespace wh::apps
