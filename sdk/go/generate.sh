#!/usr/bin/env bash
# Makes the committed files anew that come from ../../proto: the Go stubs of the contract, and the descriptors of go-plugin's
# own services and of reflection. Needs protoc, grpc-proto and Go; fetches the two generators into a folder of its own.
#
#   generate.sh           writes them
#   generate.sh --check   says what differs from the committed ones, and exits 1 if anything but comments does
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOBIN=$work/bin GOFLAGS=
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
export PATH=$GOBIN:$PATH

readonly module=github.com/plugind/plugind/sdk/go
readonly plugin=plugind/plugin/v1/plugin.proto host=plugind/host/v1/host.proto
out=$work/out
mkdir -p "$out/internal/reflection"
protoc -I ../../proto \
  --go_out="$out" --go_opt="module=$module,M$plugin=$module/pluginv1,M$host=$module/hostv1" \
  --go-grpc_out="$out" --go-grpc_opt="module=$module,M$plugin=$module/pluginv1,M$host=$module/hostv1" \
  "$plugin" "$host"
protoc -I ../../proto -I /usr/share/grpc-proto --descriptor_set_out="$out/internal/reflection/own.binpb" \
  plugin/go_plugin.proto grpc/reflection/v1/reflection.proto grpc/reflection/v1alpha/reflection.proto

if [[ ${1:-} == --check ]]; then
  cd "$out"
  status=0
  while read -r file; do
    diff -u -I '^[[:space:]]*//' "$OLDPWD/$file" "$file" || status=1
  done < <(find . -type f)
  exit $status
fi
cp -r "$out/." .
