#!/usr/bin/env bash
# Makes the committed Go stubs anew. Needs protoc and Go; fetches the two generators into a folder of its own.
set -euo pipefail
cd "$(dirname "$0")"

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
export GOBIN=$tools
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
export PATH=$tools:$PATH

mkdir -p paritypb
protoc -I .. --go_out=paritypb --go_opt=paths=source_relative \
  --go_opt=Mparity.proto=plugind.example/parity/paritypb \
  --go-grpc_out=paritypb --go-grpc_opt=paths=source_relative \
  --go-grpc_opt=Mparity.proto=plugind.example/parity/paritypb parity.proto
