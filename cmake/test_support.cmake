# What test programs share: the headers that every test includes, compiled once, and the driver that replays
# a fuzz target's corpus without libFuzzer.
file(WRITE ${CMAKE_BINARY_DIR}/test_pch.cc "int main() {}\n")
add_executable(wh_test_pch ${CMAKE_BINARY_DIR}/test_pch.cc)
target_link_libraries(wh_test_pch PRIVATE fmt::fmt GTest::gtest)
target_compile_options(wh_test_pch PRIVATE ${WH_TEST_OPTIONS})
target_precompile_headers(wh_test_pch PRIVATE
  <algorithm> <array> <functional> <map> <memory> <optional> <set> <span> <string> <string_view> <vector>
  <fmt/format.h> <gtest/gtest.h> <tl/expected.hpp>)

add_library(wh_fuzz_driver STATIC tools/fuzz_driver.cc)
target_include_directories(wh_fuzz_driver PRIVATE src)
target_link_libraries(wh_fuzz_driver PRIVATE fmt::fmt)
