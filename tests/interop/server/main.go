// Command server is gRPC's interop server (google.golang.org/grpc/interop) as a plugin of plugind: what the server
// program of that package registers, behind the handshake, with health and reflection.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
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

	// orca_per_rpc and orca_oob ask for what these report.
	server := grpc.NewServer(orca.CallMetricsServerOption(nil))
	recorder := orca.NewServerMetricsRecorder()
	if err := orca.Register(server, orca.ServiceOptions{
		MinReportingInterval:  time.Second,
		ServerMetricsProvider: recorder,
	}); err != nil {
		log.Fatal(err)
	}
	testgrpc.RegisterTestServiceServer(
		server, interop.NewTestServer(interop.NewTestServerOptions{MetricsRecorder: recorder}))
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)

	fmt.Printf("1|1|unix|%s|grpc\n", path)
	log.Fatal(server.Serve(listener))
}
