// Package plugind makes a Go program a plugin: of plugind, and of any host built on hashicorp/go-plugin.
//
// A whole one, beside the methods of its service:
//
//	func main() {
//		plugind.New("greeter", "1.0.0").
//			Service(&greeterpb.Greeter_ServiceDesc, &greeter{}).
//			Serve()
//	}
//
// The package adds health (grpc.health.v1), reflection, go-plugin's own services and plugind's contract
// (plugind.plugin.v1.Plugin); the program registers none of them.
//
// README.md has a complete first plugin; package plugindtest is a host for unit tests.
package plugind

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
)

// SDKVersion is the version of this package, which the plugin tells its host.
const SDKVersion = "0.1.0"

// Plugin is one plugin process. What sets it up (Service to ServerOptions) is called before Serve, on one goroutine, and
// returns the Plugin; everything else may be called from any goroutine, before and while it serves.
type Plugin struct {
	name, version    string
	services         []service
	provides         []capability
	requires         []capability
	configSchema     string
	cookieKey        string
	cookieValue      string
	protocolVersions []int
	shutdownTimeout  time.Duration
	serverOptions    []grpc.ServerOption

	onStart     func(context.Context) error
	onConfigure func(Settings) error
	onDrain     func(context.Context) error
	onShutdown  func()

	health   *healthService
	contract *contract
	stop     *stopSignal
	peers    peers
}

type service struct {
	desc *grpc.ServiceDesc
	impl any
}

// New begins a plugin. Name and version are what it tells its host and `--plugind-info`; the host chooses the plugin by
// its own configuration.
func New(name, version string) *Plugin {
	p := &Plugin{
		name:            name,
		version:         version,
		cookieKey:       "PLUGIND_PLUGIN",
		cookieValue:     "1",
		shutdownTimeout: 5 * time.Second,
		health:          newHealthService(),
		stop:            newStopSignal(),
	}
	p.contract = &contract{plugin: p}
	return p
}

// Service serves impl, which implements the generated service of desc. Call it for each service.
func (p *Plugin) Service(desc *grpc.ServiceDesc, impl any) *Plugin {
	p.services = append(p.services, service{desc, impl})
	return p
}

// Provides names a capability of the plugin's own that a host may use. The version is MAJOR.MINOR, "1.0" if there is
// none: the highest minor of a major. Call it for each major.
func (p *Plugin) Provides(name string, version ...string) *Plugin {
	p.provides = addVersions(p.provides, name, version)
	return p
}

// Requires names a capability that the host must offer: without it, it does not run the plugin.
func (p *Plugin) Requires(name string, version ...string) *Plugin {
	p.requires = addVersions(p.requires, name, version)
	return p
}

// ConfigSchema is a JSON Schema (draft 7) for the settings. Settings that do not fit are refused by the host.
func (p *Plugin) ConfigSchema(json string) *Plugin {
	p.configSchema = json
	return p
}

// OnConfigure is called with the settings once the plugin is up, and again whenever they change; one call at a time. By
// returning an error it refuses them, and those before stay in force: a Violation, or several joined by errors.Join, says
// which setting is wrong, any other error is a reason without one. With it, a change of the settings is no restart.
func (p *Plugin) OnConfigure(f func(Settings) error) *Plugin {
	p.onConfigure = f
	return p
}

// OnDrain is called when no new calls will come, while running ones end. It returns when the plugin has finished what it
// does beside calls; the context ends when the host waits no longer.
func (p *Plugin) OnDrain(f func(context.Context) error) *Plugin {
	p.onDrain = f
	return p
}

// OnStart is called when a host has started the plugin and before it is told that the plugin is up: the place to open
// files and connect to databases, which neither `--plugind-info` nor a start by hand should do. An error ends the plugin
// with exit code 1 and goes to the host's log. The context ends when the plugin is asked to end.
func (p *Plugin) OnStart(f func(context.Context) error) *Plugin {
	p.onStart = f
	return p
}

// OnShutdown is called once when the plugin ends, after its health has turned NOT_SERVING and before running calls are
// waited for.
func (p *Plugin) OnShutdown(f func()) *Plugin {
	p.onShutdown = f
	return p
}

// Cookie is the environment variable, and its value, by which a host shows that it knows this plugin: PLUGIND_PLUGIN=1
// unless set. A host built on go-plugin has its own, in its HandshakeConfig.
func (p *Plugin) Cookie(key, value string) *Plugin {
	p.cookieKey, p.cookieValue = key, value
	return p
}

// ProtocolVersion adds an application protocol version that the plugin speaks; 1 if there is none.
func (p *Plugin) ProtocolVersion(version int) *Plugin {
	p.protocolVersions = append(p.protocolVersions, version)
	return p
}

// ShutdownTimeout is how long running calls may take to end before they are cancelled: 5 s unless set.
func (p *Plugin) ShutdownTimeout(timeout time.Duration) *Plugin {
	p.shutdownTimeout = timeout
	return p
}

// ServerOptions adds options of the gRPC server: interceptors, limits, stats handlers.
func (p *Plugin) ServerOptions(options ...grpc.ServerOption) *Plugin {
	p.serverOptions = append(p.serverOptions, options...)
	return p
}

// Agreed is the version that host and plugin agreed on for a capability, and whether they did. Nothing is agreed before
// the host has called, nor with hosts other than plugind.
func (p *Plugin) Agreed(capability string) (version string, ok bool) {
	return p.contract.agreedVersion(capability)
}

// Settings are those in force; empty before the first.
func (p *Plugin) Settings() Settings {
	return p.contract.currentSettings()
}

// SetServing says whether calls may be sent here; true at first. While false, plugind routes nothing here and does not
// kill the plugin.
func (p *Plugin) SetServing(serving bool) {
	p.health.setServing(serving)
}

// Stop ends the plugin in order, as SIGTERM does. It returns at once.
func (p *Plugin) Stop() {
	p.stop.ask()
}

func (p *Plugin) versions() []int {
	if len(p.protocolVersions) == 0 {
		return []int{1}
	}
	versions := slices.Clone(p.protocolVersions)
	slices.Sort(versions)
	return slices.Compact(versions)
}

// serviceNames are the author's, sorted.
func (p *Plugin) serviceNames() []string {
	names := make([]string, 0, len(p.services))
	for _, each := range p.services {
		names = append(names, each.desc.ServiceName)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
