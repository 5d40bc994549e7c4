package plugind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/plugind/plugind/sdk/go/internal/goplugin"
)

const (
	// outputKept is how much of what is printed waits for a host that does not read GRPCStdio.
	outputKept = 256 << 10
	// lease is how long the plugin outlives its host.
	lease = 2 * time.Second
)

// Serve is Run for a main function: it ends the process with Run's exit code and does not return.
func (p *Plugin) Serve() {
	os.Exit(p.Run())
}

// Run serves until the host ends the plugin, or dies, and returns the exit code for the process:
//
//	0  ended as asked (SIGTERM, the host's Shutdown, Stop) or because the host is gone
//	1  could not serve, or was not started by a host; stderr says why
//
// With the argument --plugind-info it prints what the plugin is as JSON and returns 0; other arguments are the author's.
// While it runs, what is printed becomes the host's log, and so does what log/slog is given, unless the program has set a
// default logger of its own.
func (p *Plugin) Run() int {
	if err := p.validate(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.name, err)
		return 1
	}
	if slices.Contains(os.Args[1:], "--plugind-info") {
		if err := p.printInfo(os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", p.name, err)
			return 1
		}
		return 0
	}
	o := readOffer(p.cookieKey)
	if o.cookie != p.cookieValue {
		p.explain(os.Stderr, o.cookie != "")
		return 1
	}
	logByDefault()
	if err := p.serveProcess(o); err != nil {
		ownLogger.Error("cannot serve: "+err.Error(), "plugin", p.name)
		return 1
	}
	return 0
}

func (p *Plugin) validate() error {
	if p.configSchema == "" {
		return nil
	}
	var schema map[string]any
	if err := json.Unmarshal([]byte(p.configSchema), &schema); err != nil {
		return fmt.Errorf("ConfigSchema is no JSON object: %w", err)
	}
	return nil
}

// serveProcess does what concerns the whole process: signals, the parent, stdout.
func (p *Plugin) serveProcess(o offer) error {
	if err := o.checkSupported(); err != nil {
		return err
	}
	p.stop.takeSignals()
	parentGone := watchParent()

	// plugind reads stdout for ever, so that a print becomes a log line by itself. Other hosts discard it after the
	// handshake, and take any earlier print for a broken one: for them it goes over GRPCStdio, from this point on.
	output := goplugin.NewOutput(outputKept)
	var handshake io.Writer = os.Stdout
	releaseStdout := func() {}
	if !o.fromPlugind() {
		captured, err := captureStdout(output)
		if err != nil {
			return fmt.Errorf("stdout, which carries the handshake: %w", err)
		}
		handshake, releaseStdout = captured.host, captured.stop
	}
	failed := func(err error) error {
		releaseStdout()
		_, _ = os.Stderr.Write(output.Rest())
		return err
	}

	s, err := p.start(o, output)
	if err != nil {
		return failed(err)
	}
	offered, own := o.versions(), p.versions()
	version := chooseVersion(offered, own)
	if len(offered) > 0 && !slices.Contains(offered, version) {
		_, _ = os.Stderr.WriteString(mismatch(p.name, offered, own)) // the handshake says it too
	}
	if _, err := io.WriteString(handshake, handshakeLine(version, s.address(), s.certificate)); err != nil {
		s.end(0, func() {})
		return failed(fmt.Errorf("write the handshake to stdout: %w", err))
	}

	timeout := p.shutdownTimeout
	select {
	case <-p.stop.asked:
	case <-parentGone:
		ownLogger.Warn("the host is gone; stopping", "plugin", p.name)
		timeout = min(timeout, lease/2)
		// Whatever hangs, hooks of the author's included.
		time.AfterFunc(lease-lease/10, func() { os.Exit(0) })
	}
	s.end(timeout, releaseStdout)
	return nil
}

// start brings the server up; the plugin then only has to be announced.
func (p *Plugin) start(o offer, output *goplugin.Output) (*server, error) {
	if o.hostAddress != "" {
		p.peers.use(o.hostAddress)
	}
	if p.onStart != nil {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		unwatch := make(chan struct{})
		defer close(unwatch)
		go func() {
			select {
			case <-p.stop.asked:
				cancel()
			case <-unwatch:
			}
		}()
		if err := p.onStart(ctx); err != nil {
			return nil, err
		}
	}
	s, err := newServer(p, o, output)
	if err != nil {
		return nil, err
	}
	listener, err := listen(o)
	if err != nil {
		return nil, errors.Join(errors.New("no socket to serve on"), err)
	}
	s.serve(listener)
	return s, nil
}

// logByDefault makes our handler that of log/slog, and of log with it, unless the program has chosen one.
func logByDefault() {
	if slog.Default() == initialLogger {
		slog.SetDefault(ownLogger)
	}
}
