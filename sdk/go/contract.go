package plugind

import (
	"context"
	"maps"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/plugind/plugind/sdk/go/pluginv1"
)

// contract serves plugind.plugin.v1.Plugin, and holds what the host has said through it.
type contract struct {
	pluginv1.UnimplementedPluginServer
	plugin *Plugin

	configuring sync.Mutex // one Configure at a time; held while the author's hook runs

	mu       sync.RWMutex
	settings Settings
	agreed   map[string]string
}

func (c *contract) agreedVersion(capability string) (string, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	version, ok := c.agreed[capability]
	return version, ok
}

func (c *contract) currentSettings() Settings {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.settings
}

func (c *contract) Negotiate(context.Context, *pluginv1.NegotiateRequest) (*pluginv1.NegotiateResponse, error) {
	return &pluginv1.NegotiateResponse{
		Name:         c.plugin.name,
		Version:      c.plugin.version,
		Services:     c.plugin.serviceNames(),
		Capabilities: c.plugin.capabilities(),
		ConfigSchema: c.plugin.configSchema,
		Sdk:          &pluginv1.Sdk{Language: "go", Version: SDKVersion},
	}, nil
}

func (c *contract) Configure(_ context.Context, request *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	c.configuring.Lock()
	defer c.configuring.Unlock()

	// A copy: interceptors of the author's may keep the request.
	settings := Settings{&structpb.Struct{}}
	if request.GetSettings() != nil {
		settings.table = proto.CloneOf(request.GetSettings())
	}
	c.mu.Lock()
	c.agreed = maps.Clone(request.GetCapabilities()) // first: the hook may ask
	c.mu.Unlock()
	if c.plugin.onConfigure != nil {
		if err := c.plugin.onConfigure(settings); err != nil {
			return &pluginv1.ConfigureResponse{Violations: violations(err)}, nil
		}
	}
	c.mu.Lock()
	c.settings = settings
	c.mu.Unlock()
	return &pluginv1.ConfigureResponse{}, nil
}

func (c *contract) Drain(ctx context.Context, request *pluginv1.DrainRequest) (*pluginv1.DrainResponse, error) {
	if c.plugin.onDrain == nil {
		return nil, status.Error(codes.Unimplemented, "the plugin has nothing to drain")
	}
	if timeout := request.GetTimeout(); timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout.AsDuration())
		defer cancel()
	}
	if err := c.plugin.onDrain(ctx); err != nil {
		return nil, err
	}
	return &pluginv1.DrainResponse{}, nil
}

func (c *contract) Shutdown(context.Context, *pluginv1.ShutdownRequest) (*pluginv1.ShutdownResponse, error) {
	c.plugin.Stop()
	return &pluginv1.ShutdownResponse{}, nil
}
