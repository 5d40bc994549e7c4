// Command kv is an ordinary plugin on the unmodified hashicorp/go-plugin: nothing in it knows of plugind, which runs it
// as it is. All that plugind must be told is the magic cookie below (config/plugins.d/kv.toml).
package main

import (
	"context"
	"errors"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"plugind.example/kv/kvpb"
)

var handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "BASIC_PLUGIN",
	MagicCookieValue: "hello",
}

// kvPlugin registers the store with go-plugin's gRPC server. The client's half is not needed: callers of plugind use
// the stubs in kvpb.
type kvPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	store *store
}

func (p *kvPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	kvpb.RegisterKVServer(server, p.store)
	return nil
}

func (p *kvPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (interface{}, error) {
	return nil, errors.New("kv has no Go client of its own: use kvpb")
}

func main() {
	logger := hclog.New(&hclog.LoggerOptions{
		Name:       "kv",
		Level:      hclog.Info,
		Output:     os.Stderr,
		JSONFormat: true,
	})
	logger.Info("store is empty and ready", "pid", os.Getpid())
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"kv": &kvPlugin{store: newStore()}},
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          logger,
	})
}
