// One gRPC call of any kind, with messages as bytes. Two threads at most: one sends, the other
// receives; each blocks until gRPC has taken or brought the message, so that neither side runs
// ahead of the other by more than what is under way.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace plugind::pluginctl {

enum class Follow {
  kMore,
  kNothing,  // this message is the last: it and the end of sending go out as one
};

class GenericCall {
 public:
  // Begins the call. `context` outlives it.
  GenericCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
              grpc::ClientContext* context);

  // False: the call is over, and sending with it.
  bool Send(const std::string& message, Follow follow);
  // After the last message, if it was not sent as such.
  void EndSending();

  // After it the context's initial metadata may be read.
  void AwaitHeaders();
  // False: there are no more.
  bool Receive(std::string* message);
  // The end of the call. Once, after Receive said false, and with nobody sending any more.
  grpc::Status Finish();

 private:
  const std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream_;
};

}  // namespace plugind::pluginctl
