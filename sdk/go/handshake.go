package plugind

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// offer is the host's side of the handshake, as the environment has it. The wire contract is hashicorp/go-plugin's.
type offer struct {
	cookie           string // the value under the plugin's cookie key
	protocolVersions string // "1" or "5,6", in any order
	socketDir        string // "": TMPDIR, or /tmp
	socketGroup      string // a name or a gid
	clientCert       string // PEM; set when the host wants AutoMTLS
	multiplex        string // as strconv.ParseBool takes it
	hostAddress      string // plugind's door for this process, as a gRPC target
	instance         string // set by plugind alone
}

func readOffer(cookieKey string) offer {
	return offer{
		cookie:           os.Getenv(cookieKey),
		protocolVersions: os.Getenv("PLUGIN_PROTOCOL_VERSIONS"),
		socketDir:        os.Getenv("PLUGIN_UNIX_SOCKET_DIR"),
		socketGroup:      os.Getenv("PLUGIN_UNIX_SOCKET_GROUP"),
		clientCert:       os.Getenv("PLUGIN_CLIENT_CERT"),
		multiplex:        os.Getenv("PLUGIN_MULTIPLEX_GRPC"),
		hostAddress:      os.Getenv("PLUGIND_HOST_ADDRESS"),
		instance:         os.Getenv("PLUGIND_INSTANCE"),
	}
}

func (o offer) fromPlugind() bool { return o.instance != "" }

// checkSupported refuses what the host insists on and this package does not speak.
func (o offer) checkSupported() error {
	if multiplex, _ := strconv.ParseBool(o.multiplex); multiplex {
		return errors.New("the host asks for gRPC multiplexing (PLUGIN_MULTIPLEX_GRPC is set), which plugind's Go SDK does " +
			"not support; turn GRPCBrokerMultiplex off in the host's ClientConfig")
	}
	return nil
}

// chooseVersion is the highest of own, which is sorted, that is offered; else the lowest, which lets the host refuse.
func chooseVersion(offered, own []int) int {
	for _, version := range slices.Backward(own) {
		if slices.Contains(offered, version) {
			return version
		}
	}
	return own[0]
}

// versions are those that the host offers, ascending; what is no number is left out.
func (o offer) versions() []int {
	var offered []int
	for entry := range strings.SplitSeq(o.protocolVersions, ",") {
		if number, err := strconv.Atoi(strings.TrimSpace(entry)); err == nil {
			offered = append(offered, number)
		}
	}
	slices.Sort(offered)
	return slices.Compact(offered)
}

// mismatch is the line for whoever reads why the host refuses the plugin.
func mismatch(name string, offered, own []int) string {
	list := func(versions []int) string {
		words := make([]string, len(versions))
		for i, version := range versions {
			words[i] = strconv.Itoa(version)
		}
		return strings.Join(words, ", ")
	}
	return name + " serves protocol versions " + list(own) + "; its host offers " + list(offered) + "\n"
}

// handshakeLine is what the host reads on stdout. certificate: base64 of the DER, or "" without TLS.
func handshakeLine(version int, socket, certificate string) string {
	line := fmt.Sprintf("1|%d|unix|%s|grpc", version, socket)
	if certificate != "" {
		line += "|" + certificate
	}
	return line + "\n"
}
