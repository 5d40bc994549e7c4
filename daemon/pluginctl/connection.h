// The way to plugind: its socket, one channel, and calls that survive the daemon's own death.
//
// A daemon that cannot be reached at the first try is an error at once. One that has answered
// before, or whose socket accepts connections, is only between two lives (its keeper starts it
// again within moments): then a call is sent again until its deadline, which every method of the
// API allows. One thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "daemon/pluginctl/deadline.h"
#include "plugind/control/v1/control.grpc.pb.h"

namespace plugind::pluginctl {

namespace v1 = ::plugind::control::v1;
using Stub = v1::PluginControl::Stub;

// How long one call, reconnecting included, may take unless its verb says otherwise.
inline constexpr Duration kAnswerLimit = std::chrono::seconds(10);

// From --socket, else PLUGIND_SOCKET, else the default of this user; "unix:" in front is taken off.
std::string ResolveSocket(const std::string& flag);

class Connection {
 public:
  // Does not connect yet. `socket` is a path of at most 107 bytes.
  explicit Connection(std::string socket);

  const std::string& socket() const { return socket_; }
  Stub& stub() { return *stub_; }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response,
                    Deadline deadline = DeadlineAfter(kAnswerLimit)) {
    return Retry(deadline, [&](grpc::ClientContext* context) {
      response->Clear();
      return (stub_.get()->*method)(context, request, response);
    });
  }

  // Any call that may be sent more than once: `send` makes it with the context that it is given and
  // returns its status.
  template <typename Send>
  grpc::Status Retry(Deadline deadline, const Send& send) {
    for (Attempt attempt(*this, deadline);;) {
      grpc::ClientContext context;
      attempt.Prepare(&context);
      const grpc::Status status = send(&context);
      if (!attempt.Again(status)) return status;
    }
  }

  // A channel of its own for calls to plugins, which are trusted with no message larger than
  // `largest` bytes.
  std::shared_ptr<grpc::Channel> OpenChannel(int largest) const;

  // Who is there. *renewed: it is another daemon than at the last time, with another keeper, whose
  // sequence numbers began anew. May be null.
  grpc::Status Identify(Deadline deadline, v1::GetDaemonInfoResponse* info, bool* renewed);

  // What a plain connect() to the socket says: 0 or errno.
  int Probe() const;

 private:
  // The retries of one call.
  class Attempt {
   public:
    Attempt(Connection& connection, Deadline deadline)
        : connection_(connection), deadline_(deadline) {}
    void Prepare(grpc::ClientContext* context) const;
    bool Again(const grpc::Status& status);

   private:
    Connection& connection_;
    const Deadline deadline_;
    Duration pause_ = std::chrono::milliseconds(10);
  };

  const std::string socket_;
  std::unique_ptr<Stub> stub_;
  bool reached_ = false;  // it has answered at least once
  v1::GetDaemonInfoResponse known_;
};

// Whether the daemon was lost under a call, as opposed to having answered it.
bool IsLost(const grpc::Status& status);

}  // namespace plugind::pluginctl
