// A gRPC server small enough to start in a millisecond and to misbehave on purpose: grpc.health.v1
// and a few methods of fault.v1.Fault over nghttp2, one thread, one poll loop. Everything it does
// not know is answered UNIMPLEMENTED. Asked for /fault.v1.Fault/BreakBy… it breaks HTTP/2 or gRPC
// in that way: see TinyServer::Break.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace plugind::faults {

struct Behaviour {
  bool health_hangs = false;  // health is taken in and never answered
  bool watch = true;          // false: only Check is served
  bool serving = true;        // what health answers
  bool leaks = false;         // every request leaves an fd open, as long as there is one to be had
};

class TinyServer {
 public:
  // `listener` is listening already. Both live as long as the process.
  TinyServer(int listener, Behaviour behaviour);
  ~TinyServer();

  // Tells every watcher.
  void SetServing(bool serving);
  // Has `callback` called whenever `fd` is readable.
  void OnReadable(int fd, std::function<void()> callback);
  [[noreturn]] void Run();

  struct Connection;
  struct Stream;

 private:
  friend struct Callbacks;
  void Accept();
  void Dispatch(Connection& connection, Stream& stream);
  // False: `path` asks for no breach.
  bool Break(Connection& connection, Stream& stream);
  std::string HealthAnswer() const;

  int listener_;
  Behaviour behaviour_;
  std::list<std::unique_ptr<Connection>> connections_;
  std::map<int, std::function<void()>> readable_;
};

}  // namespace plugind::faults
