// Command goplugin is both ends of what people have without a daemon: a host on the unmodified hashicorp/go-plugin, and
// the plugin that it starts (this program again) and calls over its Unix socket. The host makes the load itself, as
// ../load.cc does, with the same commands; TARGET means nothing here:
//
//	run TARGET SIZE IN_FLIGHT MODE SECONDS
//
// Its first line is the plugin's process id.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

var handshake = plugin.HandshakeConfig{
	ProtocolVersion: 1, MagicCookieKey: "PLUGIND_BENCH_PLUGIN", MagicCookieValue: "echo",
}

// echoPlugin gives its host the connection itself: the host calls methods by name.
type echoPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (echoPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	server.RegisterService(&echoService, nil)
	return nil
}

func (echoPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, connection *grpc.ClientConn) (interface{}, error) {
	return connection, nil
}

func serve() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"echo": echoPlugin{}},
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          hclog.NewNullLogger(),
	})
}

func host() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          plugin.PluginSet{"echo": echoPlugin{}},
		Cmd:              exec.Command(self),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	})
	defer client.Kill()
	rpc, err := client.Client()
	if err != nil {
		return err
	}
	dispensed, err := rpc.Dispense("echo")
	if err != nil {
		return err
	}
	connection := dispensed.(*grpc.ClientConn)
	fmt.Println(client.ReattachConfig().Pid)

	commands := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for commands.Scan() {
		var l load
		var target, mode string
		var seconds float64
		if _, err := fmt.Sscanf(commands.Text(), "run %s %d %d %s %g", &target, &l.size, &l.inFlight, &mode, &seconds); err != nil {
			return fmt.Errorf("not a command: %q: %w", commands.Text(), err)
		}
		l.streaming = mode == "streaming"
		l.duration = time.Duration(seconds * float64(time.Second))
		if err := answers.Encode(runSlice(connection, l)); err != nil {
			return err
		}
	}
	return commands.Err()
}

func main() {
	if os.Getenv(handshake.MagicCookieKey) == handshake.MagicCookieValue {
		serve()
		return
	}
	if err := host(); err != nil {
		log.Fatalf("goplugin: %v", err)
	}
}
