package plugind

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/plugind/plugind/sdk/go/hostv1"
)

// hostLimit bounds what is asked of the host where its caller does not.
const hostLimit = 2 * time.Second

// Identity is who the plugin is to its host, and what was agreed with it.
type Identity struct {
	Name            string // the host's name for the plugin
	Instance        string // this process
	ProtocolVersion int
	Capabilities    map[string]string // agreed ones, with their versions
	Host            string            // "plugind"
	HostVersion     string
}

// Peer is a plugin that this one may call.
type Peer struct {
	Name     string
	State    string // as `pluginctl status` says it: READY, BACKOFF, …
	Version  string // what the peer says of itself; may be empty
	Services []string
	Methods  []string // what may be called: "*", or "pkg.Service/Method", "pkg.Service/*"
}

// Peer is a channel to another plugin of the same plugind, for stubs of any service. Calls carry on the trace of the
// call that they are made for, if its context is theirs. Which peers may be called is in [access] of the plugin's
// file: a call to another one ends PERMISSION_DENIED. Without a host to call, or while plugind restarts, calls end
// UNAVAILABLE, or wait with grpc.WaitForReady. The channel stays good, and is not to be closed.
func (p *Plugin) Peer(name string) *grpc.ClientConn {
	return p.peers.channel(name)
}

// Host is what plugind itself offers a plugin, as it stands on the wire; Identity, Peers and SetStatus are easier. Hosts
// other than plugind have none: its calls end UNAVAILABLE.
func (p *Plugin) Host() hostv1.HostClient {
	return hostv1.NewHostClient(p.peers.channel(""))
}

// Identity asks the host who this plugin is, within 2 s. Under a host other than plugind it fails, UNAVAILABLE.
func (p *Plugin) Identity(ctx context.Context) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, hostLimit)
	defer cancel()
	self, err := p.Host().GetSelf(ctx, &hostv1.GetSelfRequest{})
	if err != nil {
		return Identity{}, err
	}
	return Identity{
		Name:            self.GetName(),
		Instance:        self.GetInstance(),
		ProtocolVersion: int(self.GetProtocolVersion()),
		Capabilities:    self.GetCapabilities(),
		Host:            self.GetHost(),
		HostVersion:     self.GetHostVersion(),
	}, nil
}

// Peers asks the host which plugins this one may call, in order of name, and fails as Identity does.
func (p *Plugin) Peers(ctx context.Context) ([]Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, hostLimit)
	defer cancel()
	listed, err := p.Host().ListPeers(ctx, &hostv1.ListPeersRequest{})
	if err != nil {
		return nil, err
	}
	peers := make([]Peer, 0, len(listed.GetPeers()))
	for _, each := range listed.GetPeers() {
		peers = append(peers, Peer{
			Name:     each.GetName(),
			State:    each.GetState(),
			Version:  each.GetVersion(),
			Services: each.GetServices(),
			Methods:  each.GetMethods(),
		})
	}
	return peers, nil
}

// SetStatus puts a line of the plugin's own into `pluginctl status`, until the next one; at most 1,024 bytes. A host that
// shows none is not an error.
func (p *Plugin) SetStatus(ctx context.Context, text string) error {
	if !p.peers.known() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, hostLimit)
	defer cancel()
	_, err := p.Host().SetStatus(ctx, &hostv1.SetStatusRequest{Text: text})
	if status.Code(err) == codes.Unimplemented {
		return nil
	}
	return err
}

// peers are the channels through the host's door, one a peer, made when first asked for; "" is the host itself.
type peers struct {
	mu       sync.Mutex
	address  string // empty: the environment's
	channels map[string]*grpc.ClientConn
}

func (p *peers) use(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.address = address
}

func (p *peers) target() string {
	if p.address != "" {
		return p.address
	}
	return os.Getenv("PLUGIND_HOST_ADDRESS")
}

func (p *peers) known() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target() != ""
}

func (p *peers) channel(name string) *grpc.ClientConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if channel := p.channels[name]; channel != nil {
		return channel
	}
	if p.channels == nil {
		p.channels = map[string]*grpc.ClientConn{}
	}
	p.channels[name] = dial(p.target(), name)
	return p.channels[name]
}

func dial(target, name string) *grpc.ClientConn {
	reconnect := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a Unix socket of this machine
		grpc.WithAuthority("localhost"),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 2 * time.Second}),
		grpc.WithNoProxy(),
		grpc.WithUnaryInterceptor(func(
			ctx context.Context, method string, request, answer any, channel *grpc.ClientConn,
			invoke grpc.UnaryInvoker, options ...grpc.CallOption,
		) error {
			return invoke(outgoing(ctx, name), method, request, answer, channel, options...)
		}),
		grpc.WithStreamInterceptor(func(
			ctx context.Context, desc *grpc.StreamDesc, channel *grpc.ClientConn, method string,
			open grpc.Streamer, options ...grpc.CallOption,
		) (grpc.ClientStream, error) {
			return open(outgoing(ctx, name), desc, channel, method, options...)
		}),
	}
	reason := errors.New("there is no host to call: PLUGIND_HOST_ADDRESS is not set")
	if target != "" {
		channel, err := grpc.NewClient(target, options...)
		if err == nil {
			return channel
		}
		reason = err
	}
	// A channel all the same, so that the calls say what is wrong.
	refuse := func(context.Context, string) (net.Conn, error) { return nil, reason }
	channel, err := grpc.NewClient("passthrough:///no-host", append(options, grpc.WithContextDialer(refuse))...)
	if err != nil {
		panic(err) // the target above is one that gRPC knows
	}
	return channel
}

// outgoing says which peer a call is for, and goes on with the trace of the call that it is made for.
func outgoing(ctx context.Context, peer string) context.Context {
	if peer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "plugind-plugin", peer)
	}
	already, _ := metadata.FromOutgoingContext(ctx)
	if len(already.Get("traceparent")) > 0 {
		return ctx
	}
	for _, key := range []string{"traceparent", "tracestate"} {
		for _, value := range metadata.ValueFromIncomingContext(ctx, key) {
			ctx = metadata.AppendToOutgoingContext(ctx, key, value)
		}
	}
	return ctx
}
