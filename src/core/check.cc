#include "core/check.h"

#include <cstdio>
#include <cstdlib>

namespace wh {
inline namespace core {

void check_failed(const char* file, int line, const char* claim) {
  check_failed(file, line, claim, {});
}

void check_failed(const char* file, int line, const char* claim, const std::string& values) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s%s%s%s\n", file, line, claim,
               values.empty() ? "" : " (", values.c_str(), values.empty() ? "" : ")");
  std::fflush(stderr);
  std::abort();
}

}  // namespace core
}  // namespace wh
