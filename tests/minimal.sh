#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# minimal.sh BUILD FOLDER: the library without optional components, put together from the objects of a full
# build: only the files that ask whether a component is there are compiled again. It must link against
# protobuf-c and pthreadpool alone, be smaller than 2.5 MB, skip what needs a component, and say so in one
# line. Ends with "N passed, N failed, N skipped".
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd) || exit 1
mkdir -p "$2" && cd "$2" || exit 1
data=${ONNX_TEST_DATA:-$root/../shared/onnx-testdata}
passed=0 failed=0 skipped=0
check() {
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); echo "pass $name"; else failed=$((failed + 1)); echo "FAIL $name"; fi
}

cp "$build/libbnrun.a" all.a || exit 1
ar d all.a regex.c.o regex_full_match.c.o image.c.o image_{jpeg,png,tiff,webp,jpeg2000}.c.o
for source in runtime/ops/lib/image.c runtime/ops/regex_full_match.c; do
  cc -std=c11 -O2 -DNDEBUG -D_GNU_SOURCE -fPIC -fvisibility=hidden -I"$root" -c "$root/$source" || exit 1
done
ar r all.a image.o regex_full_match.o
check links cc -shared -o libbnrun.so -Wl,--whole-archive all.a -Wl,--no-whole-archive -Wl,--gc-sections \
  -Wl,--no-undefined -lprotobuf-c -lpthreadpool -lpthread -lm
strip libbnrun.so
check "smaller than 2.5 MB" test "$(stat -c %s libbnrun.so)" -lt 2500000
stat -c '%s bytes' libbnrun.so
mapfile -t tools < <(find "$build/CMakeFiles/bnrun.dir/tools" -name '*.o')
check "links the program" cc -o bnrun "${tools[@]}" all.a -lprotobuf-c -lpthreadpool -lpthread -lm -ljansson -lzip
if [ -d "$data/node" ]; then
  ./bnrun test -v "$data"/node/test_{image_decoder,regex_full_match}*/ >test.log 2>&1
  tail -n 1 test.log
  check "skips images and expressions" grep -qE '^[0-9]+ passed, 0 failed, [1-9][0-9]* skipped$' test.log
  check "says what is missing" grep -qE '^skip.*built without' test.log
else
  skipped=2
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
