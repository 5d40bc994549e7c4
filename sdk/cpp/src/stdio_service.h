// plugin.GRPCStdio: carries what the plugin prints to a go-plugin host. Under plugind nothing is
// fed into it, because plugind reads our stdout itself; the stream is then open and idle, which is
// what hosts expect of it. Thread safety: every method may be called on any thread. None waits for
// the reader.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <string_view>

#include "plugin/go_plugin.grpc.pb.h"
#include "sdk/cpp/src/output_buffer.h"

namespace plugind::sdk {

class StdioService final : public ::plugin::GRPCStdio::CallbackService {
 public:
  StdioService();
  ~StdioService() override;

  void Print(std::string_view data);

  // The stream ends once everything printed so far is sent. Before the server's Shutdown, which
  // would wait for it.
  void End();

  // One reader at a time: the newest wins, so that a host that attaches again need not wait for its
  // predecessor's connection to be missed.
  grpc::ServerWriteReactor<::plugin::StdioData>* StreamStdio(
      grpc::CallbackServerContext* context, const google::protobuf::Empty* request) override;

 private:
  class Reader;

  std::mutex mutex_;
  OutputBuffer buffer_;
  bool ended_ = false;
  // Shared: a stream may end on a gRPC thread while another thread is printing.
  std::shared_ptr<Reader> reader_;
};

}  // namespace plugind::sdk
