// Stands in for a comparison whose peer was not installed when the build was configured.
#include <cstdio>

int main() {
  std::puts("skipped: not installed at build time: " WH_ABSENT
            " (apt-get install, then rm -rf build/release and ./x bench again)");
}
