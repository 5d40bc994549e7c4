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

# generate PROTO_FOLDER PROTO GO_FOLDER
generate() {
  mkdir -p "$3"
  protoc -I "$1" --go_out="$3" --go_opt=paths=source_relative "--go_opt=M$2=plugind.example/kv/$3" \
    --go-grpc_out="$3" --go-grpc_opt=paths=source_relative "--go-grpc_opt=M$2=plugind.example/kv/$3" "$2"
}
generate . kv.proto kvpb
generate ../greeter greeter.proto host/greeterpb
