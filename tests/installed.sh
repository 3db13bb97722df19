#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# installed.sh BUILD PREFIX: installs a build into PREFIX and compiles the README's example there as an
# application would: by pkg-config, with the shared and the static library, and by CMake's find_package.
# Each must give the scores of the stored output. Ends with "N passed, N failed, N skipped".
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
build=$1 prefix=$2
passed=0 failed=0
rm -rf "$prefix" && mkdir -p "$prefix/app" || exit 1
prefix=$(cd "$prefix" && pwd)
cmake --install "$build" --prefix "$prefix" >"$prefix/install.log" || { cat "$prefix/install.log"; exit 1; }
cd "$prefix/app" || exit 1
awk '/^```c$/ { on = 1; next } /^```/ { on = 0 } on' "$root/README.md" >example.c
grep -q 'int main' example.c || { echo "no example in README.md"; exit 1; }
cp "$root/tests/data/mnist/model.onnx" .

# works NAME COMMAND...: the command prints ten scores that are probabilities.
works() {
  local name=$1; shift
  if "$@" >"$name.txt" 2>"$name.err" &&
     awk 'NF == 2 { n++; sum += $2 } END { exit !(n == 10 && sum > 0.999 && sum < 1.001) }' "$name.txt"; then
    passed=$((passed + 1)); echo "pass $name"
  else
    failed=$((failed + 1)); echo "FAIL $name"; cat "$name.txt" "$name.err"
  fi
}

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
cc -std=c99 -o by_pkg_config example.c $(pkg-config --cflags --libs bnrun) || failed=$((failed + 1))
works pkg_config env LD_LIBRARY_PATH="$prefix/lib" ./by_pkg_config
cc -std=c99 -o by_static example.c $(pkg-config --cflags bnrun) "$prefix/lib/libbnrun.a" \
  $(pkg-config --static --libs bnrun | tr ' ' '\n' | grep -v -e -lbnrun) || failed=$((failed + 1))
works static ./by_static

cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.18)
project(app LANGUAGES C)
find_package(bnrun REQUIRED)
add_executable(shared example.c)
target_link_libraries(shared PRIVATE bnrun::bnrun_shared)
add_executable(static example.c)
target_link_libraries(static PRIVATE bnrun::bnrun_static)
END
cmake -S . -B build -DCMAKE_PREFIX_PATH="$prefix" >cmake.log 2>&1 && cmake --build build >>cmake.log 2>&1 || cat cmake.log
works find_package_shared build/shared
works find_package_static build/static
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
