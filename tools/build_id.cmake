# SPDX-License-Identifier: Apache-2.0
# cmake -DROOT=... -DVERSION=... -DOUTPUT=... -P build_id.cmake: writes a C file that names this build of the
# library by its version and a hash of all its sources. Compiled models are for one build.
file(GLOB_RECURSE sources RELATIVE ${ROOT} ${ROOT}/graph/*.[ch] ${ROOT}/passes/*.[ch] ${ROOT}/proto/*.[ch]
  ${ROOT}/runtime/*.[ch] ${ROOT}/runtime/*.inc ${ROOT}/passes/*.inc)
list(SORT sources)
set(all "")
foreach(source IN LISTS sources)
  file(MD5 ${ROOT}/${source} hash)
  string(APPEND all "${source} ${hash}\n")
endforeach()
string(MD5 id "${all}")
string(SUBSTRING ${id} 0 16 id)
file(WRITE ${OUTPUT} "#include \"runtime/compiled.h\"\n\nconst char *bnr__build_id(void) {\n    return \"${VERSION}-${id}\";\n}\n")
