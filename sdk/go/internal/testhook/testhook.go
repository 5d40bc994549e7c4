// Package testhook is the door between package plugind and package plugindtest: how a plugin is served within a test's
// process, which nobody else should do.
package testhook

// Served is a plugin that runs.
type Served struct {
	Address         string          // of its socket
	ProtocolVersion uint32          // the highest that it serves
	Stop            func()          // asks it to end
	Ended           <-chan struct{} // closed when it has
}

// Serve is set by package plugind. It serves a *plugind.Plugin without cookie, signals or handshake: on a socket in
// socketDir, and with the host at hostAddress.
var Serve func(plugin any, socketDir, hostAddress string) (*Served, error)
