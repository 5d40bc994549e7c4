// The floor by hand: handshake, gRPC's own health service, SIGTERM.
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>

#include "hello.h"

int main() {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);
  const char* const directory = std::getenv("PLUGIN_UNIX_SOCKET_DIR");
  if (directory == nullptr) return 1;
  const std::string path = std::string(directory) + "/p.sock";

  Hello hello;
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  builder.RegisterService(&hello);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::printf("1|1|unix|%s|grpc\n", path.c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&end, &signal);
  server->Shutdown();
  return 0;
}
