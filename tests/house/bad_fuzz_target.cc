// A fuzz target with a mistake that only a sanitizer sees: it reads one byte behind its input.
#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const volatile uint8_t* bytes = data;
  return size == 0 ? 0 : bytes[size] * 0;
}
