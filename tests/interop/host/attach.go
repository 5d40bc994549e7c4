package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"

	"github.com/hashicorp/go-plugin"
)

// reattachment is what `pluginctl reattach` prints, and Terraform reads from TF_REATTACH_PROVIDERS.
type reattachment struct {
	Protocol        string
	ProtocolVersion int
	Pid             int
	Test            bool
	Addr            struct {
		Network string
		String  string
	}
}

func (r reattachment) config() (*plugin.ReattachConfig, error) {
	config := &plugin.ReattachConfig{
		Protocol:        plugin.Protocol(r.Protocol),
		ProtocolVersion: r.ProtocolVersion,
		Pid:             r.Pid,
		Test:            r.Test,
	}
	var err error
	switch r.Addr.Network {
	case "unix":
		config.Addr, err = net.ResolveUnixAddr("unix", r.Addr.String)
	case "tcp":
		config.Addr, err = net.ResolveTCPAddr("tcp", r.Addr.String)
	default:
		err = fmt.Errorf("network %q", r.Addr.Network)
	}
	return config, err
}

func attach(ctx context.Context, service string, from io.Reader) error {
	decoder := json.NewDecoder(from)
	decoder.DisallowUnknownFields()
	var given reattachment
	if err := decoder.Decode(&given); err != nil {
		return err
	}
	config, err := given.config()
	if err != nil {
		return err
	}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "-", MagicCookieValue: "-"},
		Plugins:          plugin.PluginSet{service: channel{}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Reattach:         config,
	})
	conn, err := connect(client, service)
	if err != nil {
		return err
	}
	if client.NegotiatedVersion() != given.ProtocolVersion {
		return fmt.Errorf("the version is %d, not %d", client.NegotiatedVersion(), given.ProtocolVersion)
	}
	if err := exercises[service](ctx, conn); err != nil {
		return err
	}
	// As hosts do at their end: the process is not ours, and must not notice.
	client.Kill()
	if client.Exited() {
		return fmt.Errorf("the plugin has ended")
	}
	return exercises[service](ctx, conn)
}
