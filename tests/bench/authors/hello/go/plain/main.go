// Hello with the floor by hand: handshake, health, SIGTERM.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	hello "github.com/plugind/plugind/tests/bench/authors/hello"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	path := os.Getenv("PLUGIN_UNIX_SOCKET_DIR") + "/p.sock"
	listener, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server := grpc.NewServer()
	server.RegisterService(&hello.Desc, hello.Hello{})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	fmt.Printf("1|1|unix|%s|grpc\n", path)
	go func() {
		<-end
		server.GracefulStop()
	}()
	if err := server.Serve(listener); err != nil {
		os.Exit(1)
	}
}
