package plugind

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/plugind/plugind/sdk/go/internal/goplugin"
	"github.com/plugind/plugind/sdk/go/internal/reflection"
	"github.com/plugind/plugind/sdk/go/pluginv1"
)

// linger is how long connections on which no call runs get to take the goodbye, and calls that have come get to begin.
const linger = 250 * time.Millisecond

// server is a gRPC server with the author's services and what every host expects beside them.
type server struct {
	plugin      *Plugin
	grpc        *grpc.Server
	output      *goplugin.Output
	calls       callCount
	certificate string // for the handshake; empty without AutoMTLS
	listener    net.Listener
	done        chan struct{} // closed when nothing is accepted any more
}

func newServer(p *Plugin, o offer, output *goplugin.Output) (*server, error) {
	s := &server{plugin: p, output: output, done: make(chan struct{})}
	options := append([]grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.calls.unary), grpc.ChainStreamInterceptor(s.calls.stream),
	}, p.serverOptions...)
	if o.clientCert != "" {
		config, certificate, err := autoMTLS(o.clientCert)
		if err != nil {
			return nil, err
		}
		s.certificate = certificate
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	s.grpc = grpc.NewServer(options...)
	for _, each := range p.services {
		s.grpc.RegisterService(each.desc, each.impl)
	}
	healthpb.RegisterHealthServer(s.grpc, p.health)
	pluginv1.RegisterPluginServer(s.grpc, p.contract)
	goplugin.Register(s.grpc, p.Stop, output)
	reflection.Register(s.grpc)

	for name := range s.grpc.GetServiceInfo() {
		p.health.add(name)
	}
	return s, nil
}

func (s *server) address() string { return s.listener.Addr().String() }

func (s *server) serve(listener net.Listener) {
	s.listener = listener
	go func() {
		defer close(s.done)
		_ = s.grpc.Serve(listener) // ends with an error when the listener is closed, which end does
	}()
}

// end is the orderly end. Health first, so that the host sends no more; then no new connections; then the author's say;
// then this package's own streams, for which the server would otherwise wait; then the running calls, until timeout.
func (s *server) end(timeout time.Duration, releaseStdout func()) {
	s.plugin.health.end()
	s.listener.Close()
	<-s.done
	if s.plugin.onShutdown != nil {
		s.plugin.onShutdown()
	}
	releaseStdout()
	s.output.End()

	finished := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(finished)
	}()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for wait := true; wait; {
		select {
		case <-finished:
			return
		case <-deadline.C:
			wait = false
		case <-s.calls.idle():
			select {
			case <-finished:
				return
			case <-time.After(linger):
				wait = s.calls.any() // one that had come before the goodbye, and has begun only now
			}
		}
	}
	s.grpc.Stop()
}

// callCount knows whether calls run, other than those of reflection, whose clients may hold one open for ever.
type callCount struct {
	mu      sync.Mutex
	running int
	waiting chan struct{} // closed when none runs; nil: nobody waits
}

func (c *callCount) add(change int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running += change
	if c.running == 0 && c.waiting != nil {
		close(c.waiting)
		c.waiting = nil
	}
}

func (c *callCount) any() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running > 0
}

// idle is closed as soon as no call runs. Not called again before it is.
func (c *callCount) idle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := make(chan struct{})
	if c.running == 0 {
		close(waiting)
	} else {
		c.waiting = waiting
	}
	return waiting
}

func (c *callCount) unary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	c.add(1)
	defer c.add(-1)
	return handle(ctx, request)
}

func (c *callCount) stream(impl any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if !strings.HasPrefix(info.FullMethod, "/grpc.reflection.") {
		c.add(1)
		defer c.add(-1)
	}
	return handle(impl, stream)
}
