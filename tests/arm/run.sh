#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [FOLDER]: cross-compiles the kernels for AArch64 with their tests and runs these in an emulator, into
# FOLDER (default: build/arm). Needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
out=${1:-$root/build/arm}
cc=${BNR_ARM_CC:-aarch64-linux-gnu-gcc}
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || { echo "no qemu for aarch64" >&2; exit 1; }
command -v "$cc" >/dev/null || { echo "no $cc" >&2; exit 1; }
flags=(-std=c11 -O2 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I"$root" -I"$root/tests/arm" -ffp-contract=off -fno-math-errno
  -Wall -Wextra -Wshadow -Wundef -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wvla -Wno-unused-parameter
  -Wno-unused-function -Werror)
mkdir -p "$out" && cd "$out" || exit 1
compile() {
  local source=$1 object
  object=$(echo "${source#"$root"/}" | tr / _).o
  case $source in */generic/*|*/arm/*_neon.c) set -- -O3 ;; *) set -- ;; esac
  if [ ! "$object" -nt "$source" ] || [ -n "$(find "$root/runtime" -newer "$object" -name '*.[hi]*' -print -quit)" ]; then
    "$cc" "${flags[@]}" "$@" -c "$source" -o "$object" || { echo "cannot compile $source" >&2; return 1; }
  fi
}
sources=("$root"/runtime/kernels/*.c "$root"/runtime/kernels/generic/*.c "$root"/runtime/kernels/arm/*.c
  "$root"/runtime/base/{alloc,status,text}.c "$root"/tests/arm/pool.c "$root"/tests/lib/kernel_test.c)
objects=()
jobs=$(nproc)
for source in "${sources[@]}"; do
  objects+=("$(echo "${source#"$root"/}" | tr / _).o")
  compile "$source" & while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || exit 1; done
done
wait
for object in "${objects[@]}"; do [ -f "$object" ] || exit 1; done
passed=0 failed=0
for test in "$root"/tests/kernels/test_*.c; do
  name=$(basename "$test" .c)
  [[ $name == test_prepare* ]] && continue # need the whole library
  if ! "$cc" "${flags[@]}" -static "$test" "${objects[@]}" -lm -lpthread -o "$name"; then
    echo "FAIL $name: does not link"; failed=$((failed + 1)); continue
  fi
  if timeout 300 "$qemu" "./$name" >"$name.log" 2>&1; then
    n=$(grep -c '  OK' "$name.log"); passed=$((passed + n)); echo "pass $name: $n tests"
  else
    echo "FAIL $name"; tail -n 5 "$name.log"; failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
