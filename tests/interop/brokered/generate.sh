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

mkdir -p brokeredpb
protoc --go_out=brokeredpb --go_opt=paths=source_relative \
  --go_opt=Mbrokered.proto=plugind.example/interop/brokered/brokeredpb \
  --go-grpc_out=brokeredpb --go-grpc_opt=paths=source_relative \
  --go-grpc_opt=Mbrokered.proto=plugind.example/interop/brokered/brokeredpb brokered.proto
