# Run by wh_embed at build time: FILES into OUT/NAME.cc and OUT/NAME.h, byte by byte: a string literal
# of that length is not every compiler's.
set(header "#pragma once\n\n#include <string_view>\n\nnamespace wh::${NAME} {\n\n")
set(source "#include \"${NAME}.h\"\n\nnamespace wh::${NAME} {\n\n")
foreach(file ${FILES})
  get_filename_component(id ${file} NAME)
  string(MAKE_C_IDENTIFIER ${id} id)
  file(READ ${file} hex HEX)
  string(LENGTH "${hex}" digits)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
         bytes "${bytes}")
  math(EXPR size "${digits} / 2")
  string(APPEND header "extern const std::string_view ${id};\n")
  string(APPEND source "static const unsigned char ${id}_bytes[] = {\n${bytes}};\n"
         "const std::string_view ${id}(reinterpret_cast<const char*>(${id}_bytes), ${size});\n\n")
endforeach()
file(WRITE ${OUT}/${NAME}.h "${header}\n}  // namespace wh::${NAME}\n")
file(WRITE ${OUT}/${NAME}.cc "${source}}  // namespace wh::${NAME}\n")
