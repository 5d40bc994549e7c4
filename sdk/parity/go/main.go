// The parity plugin in Go: ../README.md says what each part of it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	plugind "github.com/plugind/plugind/sdk/go"
	"plugind.example/parity/paritypb"
)

const schema = `{"type": "object", "properties": {"greeting": {"type": "string"}, "max": {"type": "integer", "maximum": 100}}}`

func main() {
	plugin := plugind.New("parity-go", "1.2.3").
		Provides("parity.echo", "1.4").
		Provides("parity.echo", "2.1").
		ProtocolVersion(1).
		ProtocolVersion(2).
		OnStart(start).
		OnShutdown(func() { slog.Info("hook shutdown") })
	plugin.Service(&paritypb.Parity_ServiceDesc, &parity{plugin: plugin})
	if key, value, found := strings.Cut(os.Getenv("PARITY_COOKIE"), "="); found {
		plugin.Cookie(key, value)
	}
	if capability := os.Getenv("PARITY_REQUIRES"); capability != "" {
		plugin.Requires(capability)
	}
	if os.Getenv("PARITY_NO_HOOKS") != "1" {
		plugin.ConfigSchema(schema).OnConfigure(configure).OnDrain(func(ctx context.Context) error {
			return drain(ctx, plugin.Settings())
		})
	}
	plugin.Serve()
}

func start(context.Context) error {
	if text := os.Getenv("PARITY_START_FAILS"); text != "" {
		return errors.New(text)
	}
	slog.Info("hook start")
	return nil
}

func configure(settings plugind.Settings) error {
	slog.Info("hook configure")
	table := settings.Map()
	if reason, found := table["refuse"]; found {
		return plugind.Violation{Field: "refuse", Reason: fmt.Sprint(reason)}
	}
	if text, found := table["throw"]; found {
		return errors.New(fmt.Sprint(text))
	}
	return nil
}

func drain(ctx context.Context, settings plugind.Settings) error {
	pause, _ := settings.Map()["drain_ms"].(float64)
	select {
	case <-time.After(time.Duration(pause) * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	slog.Info("hook drain")
	return nil
}
