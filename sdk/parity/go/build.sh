#!/usr/bin/env bash
# Makes OUT/plugin: build.sh OUT
set -euo pipefail
out=$(realpath -m "$1")
cd "$(dirname "$0")"

version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || true)
if ! printf '%s\n%s\n' go1.24 "${version:-go0}" | sort -CV; then
  echo "no Go 1.24 or later is on the PATH"
  exit 77
fi
mkdir -p "$out"
GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS='' go build -trimpath -buildvcs=false -o "$out/plugin" .
