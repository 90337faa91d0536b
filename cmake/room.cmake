# wh_room(NAME [COLD] DEPS other-rooms... LIBS libraries... EXCEPT folders... ALONE files...): one folder is one room
# is one target. COLD: its code waits for others more than it computes, so Debug builds do not optimise it.
#
# Every *.cc below the room's CMakeLists.txt belongs to the library wh_NAME, except what lies in the folders of
# EXCEPT, and the kinds below. Where rooms are built in batches, the files of ALONE are not: they have names of their own
# that other files of the room have too. (Tests are batched with tests.)
#   *_test.cc   one program NAME_test, each test case a CTest case
#   *_fuzz.cc   one libFuzzer program each; without WH_FUZZ, a CTest case that replays
#               tests/corpus/<target>/ and a short seeded run of random bytes
#   *_bench.cc  one program NAME_bench (Google Benchmark), built with WH_BENCH
function(wh_room name)
  cmake_parse_arguments(ARG "COLD" "" "DEPS;LIBS;EXCEPT;ALONE" ${ARGN})
  set(dir ${CMAKE_CURRENT_SOURCE_DIR})
  file(GLOB_RECURSE all CONFIGURE_DEPENDS ${dir}/*.cc)
  set(sources ${all})
  foreach(folder ${ARG_EXCEPT})
    file(GLOB_RECURSE excepted CONFIGURE_DEPENDS ${dir}/${folder}/*.cc)
    list(REMOVE_ITEM sources ${excepted})
  endforeach()
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|bench)\\.cc$")
  list(TRANSFORM ARG_ALONE PREPEND ${dir}/)
  if(ARG_ALONE)
    set_source_files_properties(${ARG_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  if(sources)
    add_library(wh_${name} STATIC ${sources})
    set(scope PUBLIC)
    if(ARG_COLD)
      target_compile_options(wh_${name} PRIVATE $<$<CONFIG:Debug>:-O0>)
    endif()
  else()
    add_library(wh_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(wh_${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ARG_DEPS PREPEND wh_)
  target_link_libraries(wh_${name} ${scope} ${ARG_DEPS} ${ARG_LIBS} fmt::fmt)

  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(tests AND WH_TESTS)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE wh_${name} GTest::gtest_main)
    wh_test_code(${name}_test)
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST
                         PROPERTIES LABELS ${name} TIMEOUT 300)
  endif()

  # What `./x test NAME` builds.
  add_custom_target(${name}_tests)
  if(TARGET ${name}_test)
    add_dependencies(${name}_tests ${name}_test)
  endif()

  set(fuzzers ${all})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  foreach(fuzzer ${fuzzers})
    get_filename_component(target ${fuzzer} NAME_WE)
    wh_fuzz_target(${target} ${fuzzer} wh_${name} ${name})
  endforeach()

  set(benches ${all})
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  if(benches AND WH_BENCH)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE wh_${name} benchmark::benchmark_main)
  endif()
endfunction()

function(wh_fuzz_target target source library label)
  set(corpus ${CMAKE_SOURCE_DIR}/tests/corpus/${target})
  if(WH_FUZZ)
    add_executable(${target} ${source})
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${target} PRIVATE ${library})
  elseif(WH_TESTS)
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE ${library} wh_fuzz_driver)
    set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
    add_test(NAME fuzz.${target} COMMAND ${target} ${corpus})
    set_tests_properties(fuzz.${target} PROPERTIES LABELS "${label};fuzz" TIMEOUT 300)
    add_dependencies(${label}_tests ${target})
  endif()
endfunction()

# Test code runs once: optimising it costs more time than it saves. What all tests include is compiled once.
function(wh_test_code target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Debug>:-O0>)
  if(TARGET wh_test_pch AND CMAKE_UNITY_BUILD)
    target_precompile_headers(${target} REUSE_FROM wh_test_pch)
  endif()
endfunction()
