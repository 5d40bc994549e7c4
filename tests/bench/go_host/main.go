// A host in the manner of those that embed hashicorp/go-plugin: it starts N plugins, asks each for its health, and starts
// one again when it has ended. go-plugin has no callback for that end (its hosts poll Client.Exited), so the harness
// names the plugin that it is about to kill, and only that one is polled, far more often than hosts do.
//
// Commands on stdin: "watch NAME". Reports to BENCH_SOCKET, as the fixture does: "spawn", "seen" and "ready".
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
)

const pollInterval = 100 * time.Microsecond

// empty is a plugin type without a service: health is all that these plugins have.
type empty struct{ plugin.NetRPCUnsupportedPlugin }

func (empty) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }
func (empty) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (interface{}, error) {
	return nil, nil
}

type host struct {
	executable string
	system     string
	harness    net.Conn
}

func now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		log.Fatalf("clock_gettime: %v", err)
	}
	return ts.Nano()
}

func (h *host) report(kind, name string, pid int, at int64) {
	if _, err := fmt.Fprintf(h.harness, "%s %s %s %d %d", h.system, kind, name, pid, at); err != nil {
		log.Fatalf("the harness has gone: %v", err)
	}
}

// start returns once the plugin's health is SERVING, which is what plugind calls READY.
func (h *host) start(name string) *plugin.Client {
	cmd := exec.Command(h.executable)
	cmd.Env = []string{"BENCH_NAME=" + name}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: 1, MagicCookieKey: "PLUGIND_PLUGIN", MagicCookieValue: "1",
		},
		Plugins:          plugin.PluginSet{"empty": empty{}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Managed:          true,
		Logger:           hclog.NewNullLogger(),
	})
	spawn := now()
	rpc, err := client.Client()
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	if err := rpc.Ping(); err != nil {
		log.Fatalf("%s: health: %v", name, err)
	}
	ready := now()
	pid := client.ReattachConfig().Pid
	h.report("spawn", name, pid, spawn)
	h.report("ready", name, pid, ready)
	return client
}

func main() {
	count := flag.Int("count", 1, "how many plugins")
	executable := flag.String("plugin", "", "the plugin's executable")
	flag.Parse()

	harness, err := net.Dial("unixgram", os.Getenv("BENCH_SOCKET"))
	if err != nil {
		log.Fatalf("the harness: %v", err)
	}
	h := &host{executable: *executable, system: os.Getenv("BENCH_SYSTEM"), harness: harness}

	clients := map[string]*plugin.Client{}
	for i := 0; i < *count; i++ {
		name := fmt.Sprintf("p%03d", i)
		clients[name] = h.start(name)
	}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		name, found := strings.CutPrefix(commands.Text(), "watch ")
		client := clients[name]
		if !found || client == nil {
			log.Fatalf("unknown command %q", commands.Text())
		}
		pid := client.ReattachConfig().Pid
		h.report("watching", name, pid, now())
		for !client.Exited() {
			time.Sleep(pollInterval)
		}
		h.report("seen", name, pid, now())
		clients[name] = h.start(name)
		go client.Kill() // frees what go-plugin keeps of the dead one, after the clock has stopped
	}
	plugin.CleanupClients()
}
