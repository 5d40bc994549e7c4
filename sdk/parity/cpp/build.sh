#!/usr/bin/env bash
# Makes OUT/plugin: build.sh OUT. CMake has built it.
set -euo pipefail
built=${PLUGIND_BUILD:?}/tests/parity_cpp
if [[ ! -x $built ]]; then
  echo "$built was not built"
  exit 77
fi
mkdir -p "$1"
ln -sfn "$(realpath "$built")" "$1/plugin"
