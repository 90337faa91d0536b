// transcript FILE...: plays transcripts and says which came true. Exit status: 0; 1, one did not;
// 2, one could not be read.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "stage.h"

namespace {

int play(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) {
    fmt::print(stderr, "transcript: {} cannot be read\n", path);
    return 2;
  }
  const auto script = wh::transcript::parse_script(text.str());
  if (!script) {
    fmt::print(stderr, "transcript: {}: {}\n", path, script.error().text);
    return 2;
  }
  wh::transcript::Stage stage(*script);
  const auto played = stage.play();
  if (played) {
    fmt::print("{}: {}\n", path, script->clause);
    return 0;
  }
  fmt::print(stderr, "{}: {}\n", path, script->clause);
  for (const std::string& line : stage.conversation()) fmt::print(stderr, "  {}\n", line);
  fmt::print(stderr, "{}: {}\n", path, played.error().text);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) == "--help") {
    fmt::print("usage: transcript FILE...\nExample: transcript tests/transcripts/*/*.tcp\n");
    return argc < 2 ? 2 : 0;
  }
  int worst = 0;
  for (int i = 1; i < argc; ++i) worst = std::max(worst, play(argv[i]));
  return worst;
}
