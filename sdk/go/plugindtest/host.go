// Package plugindtest is a host for unit tests of plugins: it serves one within the test's process, and does with it what
// plugind would.
//
//	func TestGreets(t *testing.T) {
//		host := plugindtest.Start(t, newPlugin(), plugindtest.Settings(map[string]any{"greeting": "Hi"}))
//		answer, err := greeterpb.NewGreeterClient(host.Conn()).Greet(t.Context(), &greeterpb.GreetRequest{Name: "Ada"})
//		...
//	}
package plugindtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	plugind "github.com/plugind/plugind/sdk/go"
	"github.com/plugind/plugind/sdk/go/hostv1"
	"github.com/plugind/plugind/sdk/go/internal/testhook"
	"github.com/plugind/plugind/sdk/go/pluginv1"
)

// limit is how long each thing that the host asks of the plugin may take.
const limit = 10 * time.Second

// Host runs one plugin. Its methods may be called from any goroutine.
type Host struct {
	t       testing.TB
	conn    *grpc.ClientConn
	plugin  pluginv1.PluginClient
	served  *testhook.Served
	gateway *gateway
	agreed  map[string]string
	answer  *pluginv1.NegotiateResponse

	mu         sync.Mutex
	generation uint64
}

// Option is what Start may be told.
type Option func(*options)

type options struct {
	offers   map[string][]string
	settings map[string]any
	peers    []peer
}

// Offer lets the host offer a capability, beside the built-in ones; several versions are several majors.
func Offer(name string, versions ...string) Option {
	return func(o *options) { o.offers[name] = versions }
}

// Settings are those that the plugin starts with; none unless given.
func Settings(settings map[string]any) Option {
	return func(o *options) { o.settings = settings }
}

// Peer is a fake of another plugin, which the one under test finds at Plugin.Peer(name): register puts its services on
// the server that it is given. Two peers cannot have the same service.
func Peer(name string, register func(grpc.ServiceRegistrar)) Option {
	return func(o *options) { o.peers = append(o.peers, peer{name, register}) }
}

// Start runs the plugin until the end of the test. The test fails if the plugin does not start, requires what the host
// does not offer, or refuses its first settings.
func Start(t testing.TB, p *plugind.Plugin, given ...Option) *Host {
	t.Helper()
	o := options{offers: builtIn()}
	for _, option := range given {
		option(&o)
	}
	// Not t.TempDir(), which has the test's name in it: a socket's path holds 107 bytes.
	dir, err := os.MkdirTemp("", "plugindtest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &Host{t: t, gateway: newGateway(o.peers)}
	hostSocket := filepath.Join(dir, "host.sock")
	if err := h.gateway.serve(hostSocket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.gateway.server.Stop)

	if h.served, err = testhook.Serve(p, dir, "unix:"+hostSocket); err != nil {
		t.Fatalf("the plugin did not start: %v", err)
	}
	t.Cleanup(h.Shutdown)
	h.conn, err = grpc.NewClient("unix:"+h.served.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.conn.Close() })
	h.plugin = pluginv1.NewPluginClient(h.conn)

	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	h.answer, err = h.plugin.Negotiate(ctx, &pluginv1.NegotiateRequest{
		Host: "plugindtest", HostVersion: plugind.SDKVersion, Capabilities: listed(o.offers),
	})
	if err != nil {
		t.Fatalf("Negotiate: %v", err)
	}
	if h.agreed, err = agree(o.offers, h.answer.GetCapabilities()); err != nil {
		t.Fatal(err)
	}
	h.gateway.knows(&hostv1.GetSelfResponse{
		Name:            h.answer.GetName(),
		Instance:        "test",
		ProtocolVersion: h.served.ProtocolVersion,
		Capabilities:    h.agreed,
		Host:            "plugindtest",
		HostVersion:     plugind.SDKVersion,
	})
	if err := h.Configure(o.settings); err != nil {
		t.Fatalf("the plugin refuses its settings: %v", err)
	}
	return h
}

// Conn is a channel to the plugin, for stubs of its services.
func (h *Host) Conn() *grpc.ClientConn { return h.conn }

// Negotiated is what the plugin said of itself.
func (h *Host) Negotiated() *pluginv1.NegotiateResponse { return h.answer }

// Status is the text that the plugin set last.
func (h *Host) Status() string { return h.gateway.lastStatus() }

// Configure hands over settings, as a change of [config] does. An error says that the plugin refused them: each of its
// violations is a plugind.Violation in it, for errors.As.
func (h *Host) Configure(settings map[string]any) error {
	table, err := structpb.NewStruct(settings)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	h.mu.Lock()
	h.generation++
	generation := h.generation
	h.mu.Unlock()
	answer, err := h.plugin.Configure(ctx, &pluginv1.ConfigureRequest{
		Settings: table, Capabilities: h.agreed, Generation: generation,
	})
	if err != nil {
		return err
	}
	var refused []error
	for _, violation := range answer.GetViolations() {
		refused = append(refused, plugind.Violation{Field: violation.GetField(), Reason: violation.GetReason()})
	}
	return errors.Join(refused...)
}

// Drain tells the plugin that no new calls come, and waits for it.
func (h *Host) Drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := h.plugin.Drain(ctx, &pluginv1.DrainRequest{Timeout: durationpb.New(limit)})
	return err
}

// Shutdown ends the plugin in order and waits for it; the end of the test does so too.
func (h *Host) Shutdown() {
	h.served.Stop()
	select {
	case <-h.served.Ended:
	case <-time.After(limit):
		h.t.Errorf("the plugin has not ended %v after it was asked to", limit)
	}
}
