# wh_embed(TARGET NAME FILES...): files as constants of a program.
#
# For each file a `const std::string_view` named after it (a/b.min.js: b_min_js) in namespace wh::NAME, declared in
# the header "NAME.h" that the target can include.
function(wh_embed target name)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embed)
  set(script ${CMAKE_SOURCE_DIR}/cmake/embed_files.cmake)
  add_custom_command(OUTPUT ${out}/${name}.cc ${out}/${name}.h
    COMMAND ${CMAKE_COMMAND} -D NAME=${name} -D OUT=${out} "-DFILES=${ARGN}" -P ${script}
    DEPENDS ${ARGN} ${script} VERBATIM)
  target_sources(${target} PRIVATE ${out}/${name}.cc ${out}/${name}.h)
  target_include_directories(${target} PRIVATE ${out})
endfunction()
