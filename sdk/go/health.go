package plugind

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// healthService serves grpc.health.v1 with one status for every service. grpc-go's own leaves its watchers open when the
// server ends, which then waits for them.
type healthService struct {
	healthpb.UnimplementedHealthServer

	mu      sync.Mutex
	names   map[string]bool
	serving bool
	ended   bool
	changed chan struct{} // closed, and made anew, at each change
}

func newHealthService() *healthService {
	return &healthService{
		names:   map[string]bool{"": true, "plugin": true}, // "plugin" is what go-plugin's hosts ask for
		serving: true,
		changed: make(chan struct{}),
	}
}

func (h *healthService) add(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names[name] = true
}

func (h *healthService) setServing(serving bool) {
	h.change(func() { h.serving = serving })
}

// end says NOT_SERVING to whoever watches, and ends their calls.
func (h *healthService) end() {
	h.change(func() { h.ended = true })
}

func (h *healthService) change(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	close(h.changed)
	h.changed = make(chan struct{})
}

// look is a service's status now, and what is closed when that may have changed.
func (h *healthService) look(name string) (now healthpb.HealthCheckResponse_ServingStatus, ended bool, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.names[name]:
		now = healthpb.HealthCheckResponse_SERVICE_UNKNOWN
	case h.serving && !h.ended:
		now = healthpb.HealthCheckResponse_SERVING
	default:
		now = healthpb.HealthCheckResponse_NOT_SERVING
	}
	return now, h.ended, h.changed
}

func (h *healthService) Check(_ context.Context, request *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	now, _, _ := h.look(request.GetService())
	if now == healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Errorf(codes.NotFound, "no service %.100q here", request.GetService())
	}
	return &healthpb.HealthCheckResponse{Status: now}, nil
}

func (h *healthService) Watch(request *healthpb.HealthCheckRequest, stream healthpb.Health_WatchServer) error {
	said := healthpb.HealthCheckResponse_UNKNOWN
	for {
		now, ended, changed := h.look(request.GetService())
		if now != said {
			if err := stream.Send(&healthpb.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			said = now
		}
		if ended {
			return status.Error(codes.Unavailable, "the plugin ends")
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}
