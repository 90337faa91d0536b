# Warnings are errors; assertions (CHECK) stay on in every build type.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
                    -Wno-missing-field-initializers -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # GNU statement expressions carry TRY; __extension__ does not silence clang's own warning. libseccomp's macros are
  # compound literals.
  add_compile_options(-Wno-gnu-statement-expression -Wno-c99-extensions)
endif()
if(WH_SANITIZE)
  add_compile_options(-fsanitize=${WH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WH_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND WH_SANITIZE MATCHES undefined)
    # Clang 14 cannot put what it checks calls by before the parts of a coroutine ("difference across sections").
    add_compile_options(-fno-sanitize=function)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND WH_SANITIZE MATCHES undefined)
    # Each test is a process, so its start is half of what a short one costs: without libubsan.so, whose 6 MB of own data
    # LeakSanitizer would search in each, and with the program where it was linked to be there are 3 page faults where it took 5.
    add_link_options(-static-libubsan)
    string(APPEND CMAKE_EXE_LINKER_FLAGS " -no-pie")
  endif()
  if(NOT WH_FUZZ AND WH_SANITIZE MATCHES undefined)
    # A quarter of the time it takes to compile. The fuzz preset, which reads what strangers send, keeps them; elsewhere
    # AddressSanitizer faults on null as well.
    add_compile_options(-fno-sanitize=null,alignment)
  endif()
endif()
# Two counters that lie side by side are added to by two instructions; as one vector by six, and whoever reads one of
# them at once waits for the store. Without that a simulated packet costs 1.5 % less.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -fno-tree-slp-vectorize")
set(WH_DEBUG_FLAGS "-O1 -g1" CACHE STRING "Optimisation and debug information of Debug builds")
set(CMAKE_CXX_FLAGS_DEBUG "${WH_DEBUG_FLAGS}")
# For code that waits more than it computes, and for tests: compiled often, run seldom. AddressSanitizer's checks are
# then calls, which are quicker to compile than what they call.
set(WH_COLD_OPTIONS $<$<CONFIG:Debug>:-O0>)
if(WH_SANITIZE MATCHES address AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND WH_COLD_OPTIONS "SHELL:--param asan-instrumentation-with-call-threshold=0")
endif()
# Tests do not check the types of GoogleTest's factories, one to a test case, four system calls each at every start.
set(WH_TEST_OPTIONS ${WH_COLD_OPTIONS} -fno-sanitize=vptr)
