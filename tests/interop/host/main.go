// Command host is a program built on hashicorp/go-plugin that finds its plugin already running, at the address that
// plugind keeps for it: host SOCKET PID interop|kv. It exits 0 only if the channel that go-plugin makes carries
// everything that a direct one would.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"plugind.example/kv/kvpb"
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

var exercises = map[string]func(context.Context, *grpc.ClientConn) error{
	"interop": callInterop,
	"kv":      callKV,
}

// callInterop ends the program when a case fails: that is how gRPC's functions are.
func callInterop(ctx context.Context, conn *grpc.ClientConn) error {
	client := testpb.NewTestServiceClient(conn)
	interop.DoEmptyUnaryCall(ctx, client)
	interop.DoLargeUnaryCall(ctx, client)
	interop.DoClientStreaming(ctx, client)
	interop.DoServerStreaming(ctx, client)
	interop.DoPingPong(ctx, client)
	interop.DoCustomMetadata(ctx, client)
	interop.DoStatusCodeAndMessage(ctx, client)
	interop.DoTimeoutOnSleepingServer(ctx, client)
	interop.DoCancelAfterBegin(ctx, client)
	interop.DoCancelAfterFirstResponse(ctx, client)
	return nil
}

func callKV(ctx context.Context, conn *grpc.ClientConn) error {
	store := kvpb.NewKVClient(conn)
	value := bytes.Repeat([]byte("green"), 100_000)
	if _, err := store.Put(ctx, &kvpb.PutRequest{Key: "color", Value: value}); err != nil {
		return err
	}
	got, err := store.Get(ctx, &kvpb.GetRequest{Key: "color"})
	if err != nil {
		return err
	}
	if !bytes.Equal(got.GetValue(), value) {
		return fmt.Errorf("get answered with %d bytes of another value", len(got.GetValue()))
	}
	if _, err := store.Get(ctx, &kvpb.GetRequest{Key: "shape"}); status.Code(err) != codes.NotFound {
		return fmt.Errorf("a key that is not there: %v", err)
	}
	return nil
}

func run(socket, pid, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	exercise, ok := exercises[name]
	if !ok {
		return fmt.Errorf("there is nothing to do with %q", name)
	}
	process, err := strconv.Atoi(pid)
	if err != nil {
		return err
	}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "-", MagicCookieValue: "-"},
		Plugins:          plugin.PluginSet{name: channel{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Reattach: &plugin.ReattachConfig{
			Protocol:        plugin.ProtocolGRPC,
			ProtocolVersion: 1,
			Addr:            &net.UnixAddr{Name: socket, Net: "unix"},
			Pid:             process,
			Test:            true, // the process is not ours to end
		},
	})
	connection, err := client.Client()
	if err != nil {
		return fmt.Errorf("reattach: %w", err)
	}
	if err := connection.Ping(); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	dispensed, err := connection.Dispense(name)
	if err != nil {
		return fmt.Errorf("dispense: %w", err)
	}
	return exercise(ctx, dispensed.(*grpc.ClientConn))
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: host SOCKET PID interop|kv")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}
