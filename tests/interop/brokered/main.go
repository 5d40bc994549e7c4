// Command brokered is a plugin on the unmodified hashicorp/go-plugin that uses what few hosts but go-plugin's own give
// it: the broker, GRPCStdio, AutoMTLS where the host asks for it, and with --tcp a loopback TCP address, as go-plugin's
// plugins have on Windows.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"plugind.example/interop/brokered/brokeredpb"
)

var handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "BASIC_PLUGIN",
	MagicCookieValue: "hello",
}

type brokered struct {
	brokeredpb.UnimplementedBrokeredServer
	broker *plugin.GRPCBroker
}

func printLines(bytes int) {
	line := strings.Repeat("x", 79)
	for ; bytes > 0; bytes -= len(line) + 1 {
		fmt.Println(line[:min(bytes-1, len(line))])
	}
}

func (b *brokered) Print(_ context.Context, request *brokeredpb.PrintRequest) (*brokeredpb.PrintResponse, error) {
	printLines(int(request.GetBytes()))
	return &brokeredpb.PrintResponse{}, nil
}

// newPart is what is served under a broker id: health, and nothing else.
func newPart(options []grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(options...)
	healthpb.RegisterHealthServer(server, health.NewServer())
	return server
}

func (b *brokered) Announce(ctx context.Context, _ *brokeredpb.AnnounceRequest) (*brokeredpb.AnnounceResponse, error) {
	id := b.broker.NextId()
	announced := make(chan struct{})
	go b.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
		close(announced) // the host has been sent the address
		return newPart(options)
	})
	select {
	case <-announced:
		return &brokeredpb.AnnounceResponse{Id: id}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

func (b *brokered) Dial(ctx context.Context, request *brokeredpb.DialRequest) (*brokeredpb.DialResponse, error) {
	began := time.Now()
	answer := &brokeredpb.DialResponse{}
	if err := b.dial(ctx, request.GetId()); err != nil {
		answer.Error = err.Error()
	}
	answer.TookMs = uint32(time.Since(began).Milliseconds())
	return answer, nil
}

func (b *brokered) dial(ctx context.Context, id uint32) error {
	conn, err := b.broker.Dial(id)
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("what the host serves under %d is %v", id, answer.GetStatus())
	}
	return nil
}

type brokeredPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

func (p *brokeredPlugin) GRPCServer(broker *plugin.GRPCBroker, server *grpc.Server) error {
	brokeredpb.RegisterBrokeredServer(server, &brokered{broker: broker})
	// Without being asked: this waits for as long as no host takes the announcement.
	go broker.AcceptAndServe(broker.NextId(), newPart)
	return nil
}

func (*brokeredPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (interface{}, error) {
	return nil, errors.New("brokered has no Go client of its own: use brokeredpb")
}

func main() {
	if slices.Contains(os.Args[1:], "--tcp") {
		if err := answerOverTCP(); err != nil {
			fmt.Fprintln(os.Stderr, "brokered:", err)
			os.Exit(1)
		}
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"brokered": &brokeredPlugin{}},
		GRPCServer:      plugin.DefaultGRPCServer,
	})
}
