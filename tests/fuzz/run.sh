#!/usr/bin/env bash
# Builds every fuzz target and runs each for SECONDS (60), two at a time, on a copy of its seed corpus. Prints a line a
# target; fails when one crashes, hangs or eats memory, and names the input that did it.
#
#   tests/fuzz/run.sh [SECONDS]
#
# PLUGIND_BUILD_DIR: where to build, instead of build/clang.
set -euo pipefail

usage() {
  echo "usage: tests/fuzz/run.sh [SECONDS]" >&2
  exit 2
}

seconds=${1:-60}
[[ $# -le 1 && $seconds =~ ^[1-9][0-9]*$ ]] || usage

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${PLUGIND_BUILD_DIR:-$root/build/clang}
work=$build/fuzz-run
at_once=2

command -v clang++ >/dev/null || {
  echo "clang++ was not found. On Debian 12: apt-get install clang clang-tidy libclang-rt-14-dev" >&2
  exit 1
}
cd "$root"
mkdir -p "$work"
{ cmake --preset clang -B "$build" && cmake --build "$build" --target fuzzers; } \
  >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }

shopt -s nullglob
targets=("$build"/fuzz/*_fuzz)
((${#targets[@]} > 0)) || { echo "no fuzz target was built" >&2; exit 1; }

# Leaves NAME.log and, when all went well, NAME.ok.
run_target() {
  local name=$1 subject=${1%_fuzz} corpus=$work/$1.corpus
  rm -rf "$corpus" "$work/$name.ok"
  mkdir -p "$corpus"
  if [[ -d tests/fuzz/corpus/$subject ]]; then cp -r "tests/fuzz/corpus/$subject/." "$corpus/"; fi
  local options=(-max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024
    -print_final_stats=1 -artifact_prefix="$work/$name-")
  if [[ -f tests/fuzz/$subject.dict ]]; then options+=(-dict="tests/fuzz/$subject.dict"); fi
  "$build/fuzz/$name" "${options[@]}" "$corpus" >"$work/$name.log" 2>&1 && touch "$work/$name.ok"
}

running=0
for target in "${targets[@]}"; do
  if ((running == at_once)); then
    wait -n || true # its outcome is in NAME.ok
    running=$((running - 1))
  fi
  run_target "$(basename "$target")" &
  running=$((running + 1))
done
wait

failed=0
for target in "${targets[@]}"; do
  name=$(basename "$target")
  log=$work/$name.log
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if [[ -f $work/$name.ok && ${executions:-0} -gt 0 ]]; then
    printf '%-24s %12s executions in %s s\n' "$name" "$executions" "$seconds"
  else
    failed=1
    reproducer=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    tail -n 40 "$log" >&2
    printf '%-24s FAILED; reproduce with: %s %s\n' "$name" "$target" "${reproducer:-(see $log)}"
  fi
done
exit "$failed"
