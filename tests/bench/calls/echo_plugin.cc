// The plugin under all that the benchmark `calls` compares: ordinary code on the C++ SDK.
#include <plugind/plugin.h>

#include "echo.grpc.pb.h"

namespace {

using google::protobuf::BytesValue;
using plugind::bench::v1::Echo;

// One Chat stream; owns itself.
class Conversation final : public grpc::ServerBidiReactor<BytesValue, BytesValue> {
 public:
  Conversation() { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (ok) {
      StartWrite(&message_);
    } else {
      Finish(grpc::Status::OK);
    }
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      StartRead(&message_);
    } else {
      Finish(grpc::Status::CANCELLED);
    }
  }
  void OnDone() override { delete this; }

 private:
  BytesValue message_;
};

class EchoService final : public Echo::CallbackService {
 public:
  grpc::ServerUnaryReactor* Once(grpc::CallbackServerContext* context, const BytesValue* request,
                                 BytesValue* response) override {
    response->set_value(request->value());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerBidiReactor<BytesValue, BytesValue>* Chat(
      grpc::CallbackServerContext* /*context*/) override {
    return new Conversation;
  }
};

}  // namespace

int main(int argc, char** argv) {
  EchoService echo;
  return plugind::Plugin("echo", "1.0.0").service(&echo).serve(argc, argv);
}
