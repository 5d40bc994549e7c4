#!/usr/bin/env bash
# See ../README.md. On Debian's Python with Debian's grpcio, in a virtual environment of its own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
python=/usr/bin/python3

if ! "$python" -c 'import ensurepip, grpc, google.protobuf' 2>/dev/null; then
  echo "no python3-venv, python3-grpcio and python3-protobuf for $python"
  exit 77
fi
"$python" -m venv --system-site-packages "$out/venv"
"$out/venv/bin/pip" install -q --disable-pip-version-check "$here/../../python"
protoc -I "$here/.." --python_out="$out" --grpc_out="$out" \
  --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" parity.proto
cp "$here/parity_plugin.py" "$out"
{
  echo '#!/bin/sh'
  echo "exec '$out/venv/bin/python' '$out/parity_plugin.py' \"\$@\""
} >"$out/plugin"
chmod +x "$out/plugin"
