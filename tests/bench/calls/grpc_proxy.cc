// bench_grpc_proxy LISTEN TARGET: forwards every call with gRPC's own callback API, as a mediator
// would that is built on the library. A peer in the benchmark `calls`, not part of plugind.
//
// Of each direction there is one message in the proxy at a time, so flow control reaches from end
// to end.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace {

using grpc::ByteBuffer;

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

// What the library writes itself must not be sent a second time.
bool Reserved(std::string_view key) {
  return key.starts_with(':') || key.starts_with("grpc-") || key == "te" || key == "user-agent" ||
         key == "content-type";
}

// One call; owns itself. `request` goes from the caller to the target, `response` back.
//
// The target's side may be used only while it is held: once for each direction, because each
// starts operations there from the caller's reactions. Its OnDone, which ends the call here too,
// comes when both holds are gone and nothing is under way any more.
class Forwarding final : public grpc::ServerGenericBidiReactor {
 public:
  Forwarding(grpc::GenericStub& target, grpc::GenericCallbackServerContext* caller)
      : caller_(caller), toward_(*this) {
    context_.set_deadline(caller->deadline());
    for (const auto& [key, value] : caller->client_metadata()) {
      if (!Reserved(View(key))) {
        context_.AddMetadata({key.data(), key.size()}, {value.data(), value.size()});
      }
    }
    target.PrepareBidiStreamingCall(&context_, caller->method(), {}, &toward_);
    toward_.AddHold();  // the request's
    toward_.AddHold();  // the response's
    toward_.StartRead(&response_);
    toward_.StartCall();
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (!request_held_) return;
    if (ok) {
      toward_.StartWrite(&request_);
    } else {
      toward_.StartWritesDone();
      ReleaseRequest();
    }
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      toward_.StartRead(&response_);
    } else {
      context_.TryCancel();
      toward_.RemoveHold();
    }
  }
  void OnCancel() override { context_.TryCancel(); }
  void OnDone() override { delete this; }

 private:
  class Toward final : public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
   public:
    explicit Toward(Forwarding& call) : call_(call) {}
    void OnReadInitialMetadataDone(bool ok) override {
      if (!ok) return;
      for (const auto& [key, value] : call_.context_.GetServerInitialMetadata()) {
        if (!Reserved(View(key))) {
          call_.caller_->AddInitialMetadata({key.data(), key.size()}, {value.data(), value.size()});
        }
      }
    }
    void OnReadDone(bool ok) override {
      if (ok) {
        call_.StartWrite(&call_.response_);
        return;
      }
      // The target has ended the call, whether or not the caller has sent everything.
      {
        const std::lock_guard lock(call_.mutex_);
        if (call_.request_held_) call_.ReleaseRequest();
      }
      RemoveHold();
    }
    void OnWriteDone(bool ok) override {
      if (ok) call_.StartRead(&call_.request_);
      // Otherwise the target has ended the call, and OnReadDone hears of it.
    }
    void OnDone(const grpc::Status& status) override {
      for (const auto& [key, value] : call_.context_.GetServerTrailingMetadata()) {
        if (!Reserved(View(key))) {
          call_.caller_->AddTrailingMetadata({key.data(), key.size()},
                                             {value.data(), value.size()});
        }
      }
      call_.Finish(status);
    }

   private:
    Forwarding& call_;
  };

  void ReleaseRequest() {
    request_held_ = false;
    toward_.RemoveHold();
  }

  grpc::GenericCallbackServerContext* caller_;
  grpc::ClientContext context_;
  Toward toward_;
  ByteBuffer request_;
  ByteBuffer response_;
  std::mutex mutex_;
  bool request_held_ = true;  // guarded by mutex_
};

class Proxy final : public grpc::CallbackGenericService {
 public:
  explicit Proxy(const std::shared_ptr<grpc::Channel>& target) : target_(target) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Forwarding(target_, context);
  }

 private:
  grpc::GenericStub target_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s LISTEN TARGET, both as gRPC addresses\n", argv[0]);
    return 2;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  Proxy proxy(grpc::CreateCustomChannel(argv[2], grpc::InsecureChannelCredentials(), arguments));
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials());
  builder.RegisterCallbackGenericService(&proxy);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    std::fprintf(stderr, "cannot listen on %s\n", argv[1]);
    return 1;
  }
  server->Wait();
}
