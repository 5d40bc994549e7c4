#!/usr/bin/env bash
# See ../README.md. The packages are those of the SDK's lock file.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sdk=$here/../../node
mkdir -p "$1"
out=$(cd "$1" && pwd)

if ! command -v npm >/dev/null || ! node=$(command -v node); then
  echo "no node and npm on the PATH"
  exit 77
fi
mkdir -p "$out/plugind" "$out/node_modules"
for part in package.json package-lock.json .npmrc index.js testing testing.js lib proto; do
  rm -rf "${out:?}/plugind/$part"
  cp -r "$sdk/$part" "$out/plugind/"
done
if ! cmp -s "$sdk/package-lock.json" "$out/plugind/node_modules/installed.json"; then
  (cd "$out/plugind" && npm ci --omit=dev --silent)
  # Last, because it says that all went well.
  cp "$sdk/package-lock.json" "$out/plugind/node_modules/installed.json"
fi
ln -sfn ../plugind "$out/node_modules/plugind"
ln -sfn ../plugind/node_modules/@grpc "$out/node_modules/@grpc"
cp "$here/parity_plugin.js" "$here/../parity.proto" "$out"
{
  echo '#!/bin/sh'
  echo "exec '$node' '$out/parity_plugin.js' \"\$@\""
} >"$out/plugin"
chmod +x "$out/plugin"
