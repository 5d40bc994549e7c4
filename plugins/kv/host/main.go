// Command host is a program built on hashicorp/go-plugin, as Terraform or Vault are, reduced to what a test needs: it
// starts the greeter given on its command line, calls it, ends it, and exits 0 only if all of that went as go-plugin
// promises. It shows that a plugin made with the C++ SDK serves such hosts unchanged.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"plugind.example/kv/host/greeterpb"
)

type greeterPlugin struct {
	plugin.NetRPCUnsupportedPlugin
}

func (greeterPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("a host serves nothing")
}

func (greeterPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (interface{}, error) {
	return greeterpb.NewGreeterClient(conn), nil
}

// printed collects what arrives over GRPCStdio, and lets a reader wait for a text in it.
type printed struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (p *printed) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(data)
	close(p.changed)
	p.changed = make(chan struct{})
	return len(data), nil
}

func (p *printed) waitFor(ctx context.Context, text string) error {
	for {
		p.mu.Lock()
		found, sofar, changed := strings.Contains(p.text.String(), text), p.text.String(), p.changed
		p.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%q did not arrive on SyncStdout; what did: %q", text, sofar)
		}
	}
}

func run(binary string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	command := exec.Command(binary)
	stdout := &printed{changed: make(chan struct{})}
	logs := &printed{changed: make(chan struct{})}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: 1, MagicCookieKey: "PLUGIND_PLUGIN", MagicCookieValue: "1",
		},
		Plugins:          plugin.PluginSet{"greeter": greeterPlugin{}},
		Cmd:              command,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SyncStdout:       stdout,
		Logger:           hclog.New(&hclog.LoggerOptions{Output: io.MultiWriter(os.Stderr, logs), Level: hclog.Debug}),
	})
	defer client.Kill()

	connection, err := client.Client()
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := connection.Ping(); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	dispensed, err := connection.Dispense("greeter")
	if err != nil {
		return fmt.Errorf("dispense: %w", err)
	}
	greeter := dispensed.(greeterpb.GreeterClient)

	answer, err := greeter.Greet(ctx, &greeterpb.GreetRequest{Name: "Gopher"})
	if err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	if !strings.Contains(answer.GetMessage(), "Gopher") || int(answer.GetPid()) != command.Process.Pid {
		return fmt.Errorf("greet answered %v, and the plugin's pid is %d", answer, command.Process.Pid)
	}

	countdown, err := greeter.Countdown(ctx, &greeterpb.CountdownRequest{From: 3})
	if err != nil {
		return fmt.Errorf("countdown: %w", err)
	}
	messages := 0
	for {
		if _, err := countdown.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("countdown: %w", err)
		}
		messages++
	}
	if messages != 4 {
		return fmt.Errorf("countdown from 3 sent %d messages, not 4", messages)
	}
	// Countdown ends with a plain print to stdout, which a go-plugin host receives over GRPCStdio.
	if err := stdout.waitFor(ctx, "liftoff"); err != nil {
		return err
	}
	// The greeter's log line is parsed by go-plugin's own reader of hclog JSON.
	if err := logs.waitFor(ctx, "greeter is up"); err != nil {
		return err
	}

	began := time.Now()
	client.Kill()
	// go-plugin gives a plugin 2 s after its Shutdown call and then sends SIGKILL: slower than that was not graceful.
	if took := time.Since(began); took >= 1900*time.Millisecond {
		return fmt.Errorf("the plugin did not end on Shutdown: Kill took %v", took)
	}
	if !client.Exited() || command.ProcessState == nil || !command.ProcessState.Success() {
		return fmt.Errorf("the plugin ended badly: %v", command.ProcessState)
	}
	fmt.Printf("ok: %q, countdown, stray print, clean exit in %v\n", answer.GetMessage(), time.Since(began))
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: host GREETER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}
