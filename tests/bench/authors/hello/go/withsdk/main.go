// Hello with the SDK.
package main

import (
	hello "github.com/plugind/plugind/tests/bench/authors/hello"

	plugind "github.com/plugind/plugind/sdk/go"
)

func main() {
	plugind.New("hello", "1.0.0").Service(&hello.Desc, hello.Hello{}).Serve()
}
