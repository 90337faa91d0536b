# wh_driver(NAME FILES...): a character device driver, built to NAME.so where `kldload NAME` finds it.
#
# Drivers are FreeBSD's C, so they are compiled as FreeBSD's kernel is: without the warnings about signedness
# that the house's own code obeys. -fexceptions lets a panic unwind through them.
set(WH_DRIVER_DIR ${CMAKE_BINARY_DIR}/lib/wheelhouse/dev)
set(WH_BUG_DIR ${CMAKE_BINARY_DIR}/lib/wheelhouse/bugs)  # The test fixtures among them.
add_custom_target(drivers)
# What a driver is written against, beside the programs: `wh dev cflags` names it, `wh dev new` copies from it.
set(WH_KIT ${CMAKE_BINARY_DIR}/include/wheelhouse)
file(GLOB kit RELATIVE ${CMAKE_SOURCE_DIR}/include CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/include/freebsd/sys/*.h ${CMAKE_SOURCE_DIR}/include/freebsd/vm/*.h
     ${CMAKE_SOURCE_DIR}/include/freebsd/net/*.h)
foreach(header ${kit})
  configure_file(include/${header} ${WH_KIT}/${header} COPYONLY)
endforeach()
foreach(header dev/kpi.h dev/kpi_driver.h event/kevent.h)
  configure_file(src/${header} ${WH_KIT}/${header} COPYONLY)
endforeach()
configure_file(examples/dev/template/template.c ${CMAKE_BINARY_DIR}/share/wheelhouse/template.c COPYONLY)

function(wh_driver name)
  add_library(driver_${name} MODULE ${ARGN})
  target_include_directories(driver_${name} SYSTEM PRIVATE ${CMAKE_SOURCE_DIR}/include/freebsd)
  target_include_directories(driver_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_compile_definitions(driver_${name} PRIVATE WH_DRIVER)
  target_compile_options(driver_${name} PRIVATE -fexceptions -fvisibility=hidden
                         -Wno-sign-compare -Wno-unused-parameter -Wno-conversion
                         -Wno-sign-conversion -Wno-shadow -Wno-pedantic)
  if(WH_FUZZ)  # libFuzzer counts in a module even after it was unloaded.
    target_compile_options(driver_${name} PRIVATE -fno-sanitize=fuzzer-no-link)
  endif()
  set_target_properties(driver_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${WH_DRIVER_DIR})
  add_dependencies(drivers driver_${name})
endfunction()
