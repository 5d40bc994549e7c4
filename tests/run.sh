#!/usr/bin/env bash
# Installs what is missing, builds everything and runs every test: tests/run.sh [STAGE ...]
#
#   format   every C++ file is as clang-format would have it
#   release  what is shipped: build, clang-tidy on what needs gRPC, unit tests, end-to-end tests with the whole campaigns
#   asan     AddressSanitizer and UBSan over all of it, failpoints, a part of the campaigns
#   tsan     ThreadSanitizer over the core
#   clang    Clang's warnings, thread-safety analysis and clang-tidy; unit tests
#   fuzz     each fuzz target for FUZZ_SECONDS (60) on its corpus
#
# Without a stage: all of them, in this order. The last line is "N passed, N failed, N skipped"; exit 1 if any failed.
# README.md has the environment variables.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly all_stages=(format release asan tsan clang fuzz)
readonly results=build/results
stages=("$@")
((${#stages[@]})) || stages=("${all_stages[@]}")
for stage in "${stages[@]}"; do
  if [[ " ${all_stages[*]} " != *" $stage "* ]]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
  fi
done

# A step's outcome is one line of the stage's checks file; a failed one is shown with the end of its output.
# step STAGE NAME COMMAND...
step() {
  local stage=$1 name=$2 began=$SECONDS log
  shift 2
  log="$results/$stage/${name// /-}.log"
  if "$@" >"$log" 2>&1; then
    printf '%-8s %-28s ok      %4d s\n' "$stage" "$name" $((SECONDS - began))
    # Skips and left-out parts are said aloud, whatever else is not.
    grep -hE '^(-- )?(SKIPPED|Left out): ' "$log" | sort -u || true
    echo "passed $name" >>"$results/$stage/checks.txt"
  else
    printf '%-8s %-28s FAILED  %4d s, see %s\n' "$stage" "$name" $((SECONDS - began)) "$log"
    tail -n 150 "$log"
    echo "failed $name" >>"$results/$stage/checks.txt"
    return 1
  fi
}

# build STAGE: configures and builds the preset of that name.
build() {
  step "$1" configure cmake --preset "$1" || return 1
  step "$1" build cmake --build --preset "$1" || return 1
}

# Each test program writes its own cases down beside ctest's summary, so that cases are counted and not programs.
unit_tests() {
  local preset=$1
  step "$preset" "unit tests" env GTEST_BRIEF=1 GTEST_OUTPUT="xml:$PWD/$results/$preset/gtest/" \
    ctest --preset "$preset" --parallel "$(nproc)" --output-junit "$PWD/$results/$preset/ctest.xml" "${@:2}"
}

# Debian's python3 has grpcio; another one on the PATH may not. Tests that measure times run alone, after the others.
e2e_tests() {
  local preset=$1 pytest=(/usr/bin/python3 -m pytest -c tests/e2e/pytest.ini tests/e2e)
  step "$preset" "end-to-end tests" env PLUGIND_BUILD="$PWD/build/$preset" \
    "${pytest[@]}" -m "not campaign" -n 4 --junit-xml "$results/$preset/e2e.xml"
  step "$preset" "campaigns" env PLUGIND_BUILD="$PWD/build/$preset" \
    "${pytest[@]}" -m campaign -s --junit-xml "$results/$preset/campaigns.xml"
}

format() {
  # shellcheck disable=SC2046 # no file name of ours has a blank
  step format clang-format clang-format --dry-run -Werror $(git ls-files '*.h' '*.cc')
}

release() {
  build release || return 1
  step release clang-tidy tests/lint.py build/release
  unit_tests release
  e2e_tests release
}

asan() {
  export PLUGIND_KILLS=${PLUGIND_ASAN_KILLS:-40} PLUGIND_PLUGIN_KILLS=${PLUGIND_ASAN_PLUGIN_KILLS:-150}
  export PLUGIND_LEDGER_CALLS=${PLUGIND_ASAN_LEDGER_CALLS:-2000} PLUGIND_RELOADS=${PLUGIND_ASAN_RELOADS:-200}
  # Freed memory that is held back to find late uses of it: less than a memory bound that a test checks.
  export ASAN_OPTIONS=halt_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1:quarantine_size_mb=16
  export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  build asan || return 1
  unit_tests asan -LE bench
  e2e_tests asan
}

tsan() {
  export TSAN_OPTIONS=halt_on_error=1
  build tsan && unit_tests tsan
}

clang() {
  build clang && unit_tests clang
}

fuzz() {
  step fuzz "fuzz targets" tests/fuzz/run.sh "${FUZZ_SECONDS:-60}"
}

go_is_there() {
  local version
  version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
  printf '%s\n%s\n' go1.24 "$version" | sort -CV
}

deploy/install-packages.sh build run test fuzz
rm -rf "$results"
mkdir -p "$results"
if ! go_is_there; then
  echo "Left out: the Go example and its tests (no Go 1.24 or later on the PATH)"
  if [[ ${PLUGIND_REQUIRE_ALL:-} == 1 ]]; then
    mkdir -p "$results/go"
    echo "failed go" >"$results/go/checks.txt"
  fi
fi
for stage in "${stages[@]}"; do
  began=$SECONDS
  mkdir -p "$results/$stage/gtest"
  # In a subshell: what a stage exports is its own. Failures are counted below.
  ("$stage") || true
  printf '%-8s took %d s\n' "$stage" $((SECONDS - began))
done
exec /usr/bin/python3 tests/count.py "$results"
