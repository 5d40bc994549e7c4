// Command host is a program built on hashicorp/go-plugin, as Terraform or Vault are, reduced to what a test needs of it.
//
//	host attach SERVICE < REATTACH                 finds its plugin running, as `pluginctl reattach` says
//	host start [--auto-mtls] SERVICE PLUGIN [ARG]  starts it, as go-plugin's hosts do, and ends it
//
// Either calls every method of a service: interop, kv or parity. It exits 0 only if all went as go-plugin promises.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// channel hands out what go-plugin has connected.
type channel struct {
	plugin.NetRPCUnsupportedPlugin
}

func (channel) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("a host serves nothing")
}

func (channel) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (interface{}, error) {
	return conn, nil
}

// connect is what every host does with a plugin that is there.
func connect(client *plugin.Client, service string) (*grpc.ClientConn, error) {
	connection, err := client.Client()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := connection.Ping(); err != nil {
		return nil, fmt.Errorf("ping: %w", err)
	}
	dispensed, err := connection.Dispense(service)
	if err != nil {
		return nil, fmt.Errorf("dispense: %w", err)
	}
	return dispensed.(*grpc.ClientConn), nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	words := os.Args[1:]
	autoMTLS := slices.Contains(words, "--auto-mtls")
	words = slices.DeleteFunc(words, func(word string) bool { return word == "--auto-mtls" })
	var err error
	switch {
	case len(words) == 2 && words[0] == "attach" && exercises[words[1]] != nil:
		err = attach(ctx, words[1], os.Stdin)
	case len(words) >= 3 && words[0] == "start" && exercises[words[1]] != nil:
		err = start(ctx, words[1], words[2:], autoMTLS)
	default:
		fmt.Fprintln(os.Stderr, "usage: host attach SERVICE | host start [--auto-mtls] SERVICE PLUGIN [ARG]")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}
