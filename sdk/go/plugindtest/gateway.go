package plugindtest

import (
	"context"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/plugind/plugind/sdk/go/hostv1"
)

type peer struct {
	name     string
	register func(grpc.ServiceRegistrar)
}

// gateway is what the plugin finds at PLUGIND_HOST_ADDRESS: the host, and the fake peers.
type gateway struct {
	hostv1.UnimplementedHostServer
	server *grpc.Server
	owners map[string]string // which peer has a service

	mu     sync.Mutex
	status string
	self   *hostv1.GetSelfResponse
}

// owned notes whose services are registered.
type owned struct {
	grpc.ServiceRegistrar
	gateway *gateway
	peer    string
}

func (o owned) RegisterService(desc *grpc.ServiceDesc, impl any) {
	o.gateway.owners[desc.ServiceName] = o.peer
	o.ServiceRegistrar.RegisterService(desc, impl)
}

func newGateway(peers []peer) *gateway {
	g := &gateway{owners: map[string]string{}, self: &hostv1.GetSelfResponse{}}
	g.server = grpc.NewServer(
		grpc.UnaryInterceptor(func(
			ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
		) (any, error) {
			if err := g.check(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handle(ctx, request)
		}),
		grpc.StreamInterceptor(func(
			impl any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler,
		) error {
			if err := g.check(stream.Context(), info.FullMethod); err != nil {
				return err
			}
			return handle(impl, stream)
		}),
	)
	hostv1.RegisterHostServer(g.server, g)
	for _, each := range peers {
		each.register(owned{g.server, g, each.name})
	}
	return g
}

// check lets a call pass to the peer that it names, and to no other.
func (g *gateway) check(ctx context.Context, method string) error {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	named := metadata.ValueFromIncomingContext(ctx, "plugind-plugin")
	owner, isPeers := g.owners[service]
	if isPeers && (len(named) != 1 || named[0] != owner) {
		return status.Errorf(codes.Unavailable, "plugindtest: %s is a service of %q, and the call names %v", service, owner, named)
	}
	return nil
}

func (g *gateway) serve(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	go func() { _ = g.server.Serve(listener) }() // until Stop
	return nil
}

func (g *gateway) SetStatus(_ context.Context, request *hostv1.SetStatusRequest) (*hostv1.SetStatusResponse, error) {
	const longest = 1024
	if len(request.GetText()) > longest {
		return nil, status.Errorf(codes.InvalidArgument, "a status has at most %d bytes", longest)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status = request.GetText()
	return &hostv1.SetStatusResponse{}, nil
}

func (g *gateway) lastStatus() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.status
}

// knows says who the plugin is.
func (g *gateway) knows(self *hostv1.GetSelfResponse) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.self = self
}

func (g *gateway) GetSelf(context.Context, *hostv1.GetSelfRequest) (*hostv1.GetSelfResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.self, nil
}

func (g *gateway) ListPeers(context.Context, *hostv1.ListPeersRequest) (*hostv1.ListPeersResponse, error) {
	services := map[string][]string{}
	for service, owner := range g.owners {
		services[owner] = append(services[owner], service)
	}
	answer := &hostv1.ListPeersResponse{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		slices.Sort(services[name])
		answer.Peers = append(answer.Peers, &hostv1.Peer{
			Name: name, State: "READY", Services: services[name], Methods: []string{"*"},
		})
	}
	return answer, nil
}
