#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need (on Debian, as root or with sudo), builds with warnings as errors, and runs
# everything: unit, kernels, folding, models, conformance, command line, fuzz, and the same under
# AddressSanitizer and UndefinedBehaviorSanitizer. Ends with one line: N passed, N failed, N skipped.
#
#   tests/run.sh            everything
#   BUILD=DIR tests/run.sh  build below DIR instead of build/
#   ONNX_TEST_DATA=DIR      newer ONNX backend test data (default: ../shared/onnx-testdata where it exists)
#   ORT_LIB=FILE            libonnxruntime.so.1, for the comparison with ONNX Runtime
#   BNR_MODELS=DIR          real networks as ONNX test directories (default: ../shared/models)
set -u
cd "$(dirname "$0")/.." || exit 2
root=$PWD
build=${BUILD:-$root/build}
export ONNX_TEST_DATA=${ONNX_TEST_DATA:-$root/../shared/onnx-testdata}
export BNR_MODELS=${BNR_MODELS:-$root/../shared/models}
# A refused allocation is an error that the code must handle, not the end of the program.
export ASAN_OPTIONS=allocator_may_return_null=1
jobs=$(nproc)
passed=0 failed=0 skipped=0
log=$build/log
mkdir -p "$log"

packages="gcc g++ clang cmake ninja-build pkg-config libprotobuf-c-dev protobuf-c-compiler libpthreadpool-dev
  libcmocka-dev libjansson-dev libzip-dev libonnx-dev libonnx-testdata libjpeg-dev libpng-dev
  libtiff-dev libwebp-dev libopenjp2-7-dev libpcre2-dev
  gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static python3 python3-numpy python3-onnx"
"$root/tools/install_packages.sh" $packages || exit 2

say() { printf '\n== %s\n' "$*"; }
count() { passed=$((passed + $1)); failed=$((failed + $2)); skipped=$((skipped + $3)); }

# check NAME COMMAND...: one check that passes when the command exits with 0.
check() {
  local name=$1; shift
  if "$@" >"$log/$name.log" 2>&1; then
    count 1 0 0; echo "pass $name"
  else
    count 0 1 0; echo "FAIL $name"; tail -n 30 "$log/$name.log"
  fi
}

# counted NAME COMMAND...: a runner whose last line is "N passed, N failed, N skipped".
counted() {
  local name=$1 last status; shift
  "$@" >"$log/$name.log" 2>&1; status=$?
  last=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log/$name.log" | tail -n 1)
  if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
    count "${BASH_REMATCH[@]:1}"
    echo "$name: $last"
    [ $status -ne 0 ] && [ "${BASH_REMATCH[2]}" -eq 0 ] && { count 0 1 0; echo "FAIL $name: exit status $status"; }
    grep -E '^(skip|SKIP)' "$log/$name.log" | head -n 20
    [ "${BASH_REMATCH[2]}" -ne 0 ] && tail -n 40 "$log/$name.log"
  else
    count 0 1 0; echo "FAIL $name: no closing line, exit status $status"; tail -n 40 "$log/$name.log"
  fi
}

# configure_and_build NAME CMAKE_ARGS...
configure_and_build() {
  local name=$1; shift
  cmake -S "$root" -B "$build/$name" -G Ninja -DBNR_WERROR=ON "$@" && ninja -C "$build/$name" -j "$jobs"
}

# The cmocka programs through ctest; tests that a program skipped itself are counted and shown.
run_ctest() {
  local name=$1; shift
  ctest --test-dir "$build/$name" --no-tests=error --output-on-failure -V "$@" >"$log/ctest_$name.log" 2>&1
  local status=$? ok bad skip
  ok=$(grep -cE '\[ +OK +\]' "$log/ctest_$name.log")
  bad=$(grep -cE '^[0-9]+: \[ +FAILED +\] .*[a-z]' "$log/ctest_$name.log")
  skip=$(grep -cE '^[0-9]+: \[ +SKIPPED +\] [a-z_]' "$log/ctest_$name.log")
  [ $status -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
  [ $status -eq 0 ] && bad=0
  count "$ok" "$bad" "$skip"
  echo "ctest $name: $ok passed, $bad failed, $skip skipped"
  grep -E '^[0-9]+: \[ +SKIPPED +\] [a-z_]' "$log/ctest_$name.log" | sort -u | head -n 20
  [ $status -ne 0 ] && grep -vE '\[ +(OK|RUN) +\]' "$log/ctest_$name.log" | tail -n 60
}

say "build"
check build_gcc configure_and_build gcc -DCMAKE_C_COMPILER=gcc
check build_clang configure_and_build clang -DCMAKE_C_COMPILER=clang
check build_sanitized configure_and_build sanitized -DCMAKE_C_COMPILER=gcc -DBNR_SANITIZE=ON
check includes /usr/bin/python3 tests/check_includes.py
counted install tests/installed.sh "$build/gcc" "$build/installed"
counted minimal tests/minimal.sh "$build/gcc" "$build/minimal"

say "unit, kernels, folding, models, fuzz"
run_ctest gcc
say "the same under the sanitizers"
run_ctest sanitized
run_ctest clang -L unit

say "kernels for NEON, in an emulator"
counted arm tests/arm/run.sh "$build/arm"

say "random networks, folded and not, for a minute"
check fuzz_fold env BNR_SECONDS=60 "$build/gcc/tests/fuzz_test_fuzz_fold"
tail -n 4 "$log/fuzz_fold.log" | grep seeds

say "batch norms in bodies and functions"
counted bodies /usr/bin/python3 tests/folding/bodies.py "$build/gcc/bnrun"

say "command line"
counted cli /usr/bin/python3 tests/cli/test_cli.py "$build/gcc/bnrun"
counted cli_sanitized /usr/bin/python3 tests/cli/test_cli.py "$build/sanitized/bnrun"

say "our own network"
counted mnist /usr/bin/python3 tests/models/mnist.py "$build/gcc/bnrun"
counted calibrate /usr/bin/python3 tests/models/calibrate.py "$build/gcc/bnrun"

say "conformance"
counted conformance /usr/bin/python3 tests/conformance/run.py "$build/gcc/bnrun"
counted conformance_no_fold /usr/bin/python3 tests/conformance/run.py "$build/gcc/bnrun" --no-fold
counted conformance_reference /usr/bin/python3 tests/conformance/run.py "$build/gcc/bnrun" --reference
counted conformance_threads /usr/bin/python3 tests/conformance/run.py "$build/gcc/bnrun" --threads 2
counted conformance_sanitized /usr/bin/python3 tests/conformance/run.py "$build/sanitized/bnrun"

say "operators on large tensors beside numpy"
counted large /usr/bin/python3 tests/conformance/large.py "$build/gcc/libbnrun.so"

say "the list of operators"
counted schemas /usr/bin/python3 tests/conformance/schemas.py "$build/gcc/bnrun"

say "random models beside ONNX Runtime"
counted differential /usr/bin/python3 tests/conformance/differential.py "$build/gcc/libbnrun.so"

say "real networks"
counted models /usr/bin/python3 tests/models/networks.py "$build/gcc/bnrun"
counted folded /usr/bin/python3 tests/models/folded.py "$build/gcc/bnrun"

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
