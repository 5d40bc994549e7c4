package plugind

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// printInfo is what --plugind-info shows.
func (p *Plugin) printInfo(to io.Writer) error {
	type offered struct {
		Name     string   `json:"name"`
		Versions []string `json:"versions"`
		Required bool     `json:"required"`
	}
	type sdk struct {
		Language string `json:"language"`
		Version  string `json:"version"`
	}
	info := struct {
		Name             string          `json:"name"`
		Version          string          `json:"version"`
		Services         []string        `json:"services"`
		ProtocolVersions []int           `json:"protocolVersions"`
		Capabilities     []offered       `json:"capabilities"`
		ConfigSchema     json.RawMessage `json:"configSchema,omitempty"`
		SDK              sdk             `json:"sdk"`
	}{
		Name:             p.name,
		Version:          p.version,
		Services:         p.serviceNames(),
		ProtocolVersions: p.versions(),
		ConfigSchema:     json.RawMessage(p.configSchema),
		SDK:              sdk{"go", SDKVersion},
	}
	for _, each := range p.capabilities() {
		info.Capabilities = append(info.Capabilities, offered{each.GetName(), each.GetVersions(), each.GetRequired()})
	}
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(info)
}

// explain is what someone reads who has run the plugin by hand.
func (p *Plugin) explain(to io.Writer, otherCookie bool) {
	if otherCookie {
		fmt.Fprintf(to, "%s: %s is set, but to another value than this plugin was made for.\n"+
			"The host that started it expects another kind of plugin; magic_cookie in its plugind\n"+
			"configuration must say value = %q.\n", p.name, p.cookieKey, p.cookieValue)
		return
	}
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	cookie := ""
	if p.cookieKey != "PLUGIND_PLUGIN" || p.cookieValue != "1" {
		cookie = fmt.Sprintf("    magic_cookie = { key = %q, value = %q }\n", p.cookieKey, p.cookieValue)
	}
	fmt.Fprintf(to, "%[1]s %[2]s is a plugin: a host starts it and calls it over gRPC. By itself it does nothing.\n"+
		"To run it under plugind, write plugins.d/%[1]s.toml beside plugind.toml:\n"+
		"\n"+
		"    command = [%[3]q]\n"+
		"%[4]s"+
		"\n"+
		"then: pluginctl reload && pluginctl status %[1]s\n"+
		"What it serves: %[3]s --plugind-info\n", p.name, p.version, program, cookie)
}
