#!/usr/bin/env bash
# See ../README.md. In a virtual environment of its own: on Debian's grpcio, or with PARITY_PACKAGES=newest on what PyPI has.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
python=/usr/bin/python3
sdk=$here/../../python
pip=("$out/venv/bin/pip" install -q --disable-pip-version-check)

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  echo "no python3-venv for $python"
  exit 77
fi
if [[ ${PARITY_PACKAGES:-} == newest ]]; then
  "$python" -m venv "$out/venv"
  "${pip[@]}" --upgrade "$sdk[mtls]" grpcio grpcio-tools pytest
  "$out/venv/bin/python" -m grpc_tools.protoc -I "$here/.." \
    --python_out="$out" --grpc_python_out="$out" parity.proto
else
  if ! "$python" -c 'import grpc, google.protobuf' 2>/dev/null; then
    echo "no python3-grpcio and python3-protobuf for $python"
    exit 77
  fi
  "$python" -m venv --system-site-packages "$out/venv"
  "${pip[@]}" "$sdk[mtls]"
  protoc -I "$here/.." --python_out="$out" --grpc_out="$out" \
    --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" parity.proto
fi
cp "$here/parity_plugin.py" "$out"
{
  echo '#!/bin/sh'
  echo "exec '$out/venv/bin/python' '$out/parity_plugin.py' \"\$@\""
} >"$out/plugin"
chmod +x "$out/plugin"
