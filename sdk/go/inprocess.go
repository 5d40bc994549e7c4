package plugind

import (
	"github.com/plugind/plugind/sdk/go/internal/goplugin"
	"github.com/plugind/plugind/sdk/go/internal/testhook"
)

func init() {
	testhook.Serve = func(plugin any, socketDir, hostAddress string) (*testhook.Served, error) {
		p := plugin.(*Plugin)
		if err := p.validate(); err != nil {
			return nil, err
		}
		o := offer{socketDir: socketDir, hostAddress: hostAddress}
		s, err := p.start(o, goplugin.NewOutput(0))
		if err != nil {
			return nil, err
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			<-p.stop.asked
			s.end(p.shutdownTimeout, func() {})
		}()
		versions := p.versions()
		return &testhook.Served{
			Address:         s.address(),
			ProtocolVersion: uint32(versions[len(versions)-1]),
			Stop:            p.Stop,
			Ended:           ended,
		}, nil
	}
}
