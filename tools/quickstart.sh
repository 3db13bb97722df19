#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# On Debian: installs what bnrun needs, builds it, and shows the main job on a small network that was trained
# on handwritten digits (tests/data/mnist): run it, fold its batch normalizations, prove that nothing changed.
#
#   tools/quickstart.sh [DIGIT]     DIGIT: 0 to 9 (default 7)
set -eu
cd "$(dirname "$0")/.."
digit=${1:-7}
data=tests/data/mnist
build=${BUILD:-build}/quickstart
case $digit in [0-9]) ;; *) echo "usage: tools/quickstart.sh [DIGIT], DIGIT from 0 to 9" >&2; exit 2 ;; esac

tools/install_packages.sh gcc cmake ninja-build libprotobuf-c-dev protobuf-c-compiler libpthreadpool-dev \
  libjansson-dev libzip-dev
mkdir -p "$build"
cmake -S . -B "$build" -G Ninja -DBNR_TESTS=OFF >"$build/configure.log" || { cat "$build/configure.log"; exit 1; }
ninja -C "$build" >"$build/build.log" || { tail -n 40 "$build/build.log"; exit 1; }
bnrun=$build/bnrun

echo "The input, $data/digit_${digit}_input.bin (28 x 28 pixels):"
od -An -v -t f4 -w112 "$data/digit_${digit}_input.bin" | awk '
  { line = ""; for (i = 1; i <= NF; i++) { c = substr(" .:-=+*#%@", int($i * 9.99) + 1, 1); line = line c c }
    if (line ~ /[^ ]/) print "    " line }'

echo
echo "\$ bnrun model.onnx digit_${digit}_input.bin --top 10"
seq 0 9 | sed 's/^/a handwritten /' >"$build/labels.txt"
"$bnrun" "$data/model.onnx" "$data/digit_${digit}_input.bin" --top 10 --labels "$build/labels.txt" |
  awk 'NR == 1 { print "   digit probability"; next }
       { bar = ""; for (i = 0; i < $2 * 40; i++) bar = bar "#"; printf "%8d %10.6f  %s\n", $1, $2, bar }'

echo
echo "\$ bnrun fold model.onnx folded.onnx --explain"
"$bnrun" fold "$data/model.onnx" "$build/folded.onnx" --explain

echo
echo "\$ bnrun verify model.onnx digit_${digit}_input.bin"
"$bnrun" verify "$data/model.onnx" "$data/digit_${digit}_input.bin"
echo
echo "The program is $bnrun, the folded model $build/folded.onnx (other runtimes load it too)."
