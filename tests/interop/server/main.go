// Command server is gRPC's interop server (google.golang.org/grpc/interop) as a plugin of plugind: what the server
// program of that package registers, behind the handshake, with health and reflection.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	orcaservice "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/orca"
	"google.golang.org/grpc/reflection"
)

func main() {
	if os.Getenv("PLUGIND_PLUGIN") != "1" {
		log.Fatal("this is a plugin: plugind starts it")
	}
	path := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "interop.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}

	recorder := orca.NewServerMetricsRecorder()
	server := grpc.NewServer(orca.CallMetricsServerOption(nil), grpc.UnaryInterceptor(fillServerID))
	testpb.RegisterTestServiceServer(
		server, interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: recorder}))
	orcaservice.RegisterOpenRcaServiceServer(server, &load{recorder: recorder})
	serving := health.NewServer()
	serving.SetServingStatus("plugin", healthpb.HealthCheckResponse_SERVING) // what go-plugin's hosts ask for
	healthpb.RegisterHealthServer(server, serving)
	reflection.Register(server)

	fmt.Printf("1|1|unix|%s|grpc\n", path)
	log.Fatal(server.Serve(listener))
}

// fillServerID does what the case pick_first_unary asks of a server and Go's leaves out.
func fillServerID(
	ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	answer, err := handler(ctx, request)
	asked, ok := request.(*testpb.SimpleRequest)
	if filled, is := answer.(*testpb.SimpleResponse); ok && is && asked.FillServerId {
		filled.ServerId = os.Getenv("PLUGIND_INSTANCE")
	}
	return answer, err
}
