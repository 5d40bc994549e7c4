package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"plugind.example/parity/paritypb"
)

// text collects what is written to it, and lets a reader wait for something in it.
type text struct {
	mu      sync.Mutex
	all     bytes.Buffer
	changed chan struct{}
}

func newText() *text { return &text{changed: make(chan struct{})} }

func (t *text) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.Write(data)
	close(t.changed)
	t.changed = make(chan struct{})
	return len(data), nil
}

func (t *text) waitFor(ctx context.Context, wanted string) error {
	for {
		t.mu.Lock()
		all, changed := t.all.String(), t.changed
		t.mu.Unlock()
		if strings.Contains(all, wanted) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%q did not come; what did: %q", wanted, all)
		}
	}
}

// start runs a plugin as a host does that has never heard of plugind.
func start(ctx context.Context, service string, command []string, autoMTLS bool) error {
	process := exec.Command(command[0], command[1:]...)
	logged := newText()
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			MagicCookieKey: "PLUGIND_PLUGIN", MagicCookieValue: "1",
		},
		VersionedPlugins: map[int]plugin.PluginSet{
			1: {service: channel{}},
			2: {service: channel{}},
		},
		Cmd:              process,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         autoMTLS,
		SyncStdout:       logged,
		Logger:           hclog.New(&hclog.LoggerOptions{Output: io.MultiWriter(os.Stderr, logged), Level: hclog.Trace}),
	})
	defer client.Kill()
	conn, err := connect(client, service)
	if err != nil {
		return err
	}
	if client.NegotiatedVersion() != 2 {
		return fmt.Errorf("the plugin chose version %d of 1 and 2", client.NegotiatedVersion())
	}
	if err := exercises[service](ctx, conn); err != nil {
		return err
	}
	if service == "parity" {
		if err := checkOutput(ctx, paritypb.NewParityClient(conn), logged); err != nil {
			return err
		}
	}

	began := time.Now()
	client.Kill()
	// go-plugin gives a plugin 2 s after its Shutdown call and then sends SIGKILL: slower than that was not graceful.
	if took := time.Since(began); took >= 1900*time.Millisecond {
		return fmt.Errorf("the plugin did not end on Shutdown: Kill took %v", took)
	}
	if !client.Exited() || process.ProcessState == nil || !process.ProcessState.Success() {
		return fmt.Errorf("the plugin ended badly: %v", process.ProcessState)
	}
	return nil
}

// checkOutput follows what the plugin prints and logs to where a host has it: a print comes over GRPCStdio, or, where a
// language cannot catch it, is a line of the log like any other on stderr.
func checkOutput(ctx context.Context, client paritypb.ParityClient, logged *text) error {
	if _, err := client.Print(ctx, &paritypb.PrintRequest{Text: "a print of the plugin's"}); err != nil {
		return err
	}
	if err := logged.waitFor(ctx, "a print of the plugin's"); err != nil {
		return err
	}
	if _, err := client.Log(ctx, &paritypb.LogRequest{
		Level: "warn", Message: "a line of its log", Fields: map[string]string{"answer": "42"},
	}); err != nil {
		return err
	}
	// As hclog writes what go-plugin has understood of it: with its level, and its field.
	for _, wanted := range []string{"[WARN] ", "a line of its log", "answer=42"} {
		if err := logged.waitFor(ctx, wanted); err != nil {
			return err
		}
	}
	return nil
}
