#!/usr/bin/env bash
# Makes src/plugind/contract.binpb, the descriptors of the services that the SDK brings, which reflection answers with.
# With a file name: there instead.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/src/plugind/contract.binpb}
protoc --include_imports --descriptor_set_out="$out" -I "$here/../../proto" -I /usr/share/grpc-proto \
  plugind/plugin/v1/plugin.proto plugin/go_plugin.proto grpc/health/v1/health.proto \
  grpc/reflection/v1/reflection.proto grpc/reflection/v1alpha/reflection.proto
