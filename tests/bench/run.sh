#!/usr/bin/env bash
# Runs a benchmark: tests/bench/run.sh lifecycle [--quick] [--samples N] [--sizes 1,100,500] [--json FILE] …
#                   tests/bench/run.sh record
#                   tests/bench/run.sh calls [--quick] [--samples N] [--slice SECONDS] [--json FILE] …
#                   tests/bench/run.sh authors [--quick] [--samples N] [--languages cpp,python,go,node] [--json FILE]
# Builds what it needs in build/release (--build DIR: in another build directory, which must be configured), and installs
# the programs to compare with where it may (--no-install: never). What is still missing is left out by name.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

install_missing() {
  local missing=() package sudo=()
  command -v dpkg-query >/dev/null || return 0
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      echo "Not installed, and not root: ${missing[*]}" >&2
      return 0
    fi
    sudo=(sudo)
  fi
  echo "Installing ${missing[*]}" >&2
  if ! { "${sudo[@]}" apt-get update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"; } >&2; then
    echo "They could not be installed; what needs them is left out" >&2
  fi
}

benchmark=${1:-}
case $benchmark in
  lifecycle)
    target=bench
    packages=(supervisor runit s6 libnghttp2-dev python3-grpcio python3-protobuf)
    ;;
  calls)
    target=bench_calls
    packages=(haproxy nginx libnghttp2-dev)
    ;;
  authors)
    target=bench_authors
    packages=(python3-grpcio python3-protobuf)
    ;;
  record)
    target=bench_record
    packages=()
    ;;
  *) usage ;;
esac
shift
build=$root/build/release
install=yes
arguments=()
while (($#)); do
  case $1 in
    --build) build=${2:?--build needs a directory}; shift 2 ;;
    --no-install) install=no; shift ;;
    *) arguments+=("$1"); shift ;;
  esac
done

[[ $install == no ]] || install_missing
[[ -f $build/CMakeCache.txt ]] || cmake --preset release -S "$root" -B "$build" >&2
cmake --build "$build" --target "$target" >&2
[[ $benchmark != record ]] || exec "$build/bin/bench_record"
# No cd: --build and --json may be relative.
PYTHONPATH=$here exec /usr/bin/python3 -B -m "$benchmark" --build "$build" "${arguments[@]}"
