// One gRPC call of any kind, with messages as bytes. Two threads at most: one sends, the other
// receives; each blocks until gRPC has taken or brought the message, so that neither side runs
// ahead of the other by more than what is under way.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <string>

namespace plugind::pluginctl {

enum class Follow {
  kMore,
  kNothing,  // this message is the last: it and the end of sending go out as one
};

class GenericCall final : private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // Begins the call. `context` outlives it.
  GenericCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
              grpc::ClientContext* context);
  GenericCall(const GenericCall&) = delete;
  GenericCall& operator=(const GenericCall&) = delete;
  ~GenericCall() override = default;  // only after Finish

  // False: the call is over, and sending with it.
  bool Send(const std::string& message, Follow follow);
  // Exactly once, whether or not the call is over and whatever was sent last.
  void EndSending();

  // False: the call ended without headers, or with headers and trailers in one. After it the
  // context's initial metadata may be read.
  bool AwaitHeaders() { return Await(&headers_); }
  // False: there are no more.
  bool Receive(std::string* message);
  // Waits for EndSending and the end of the call. Exactly once, after Receive said false.
  grpc::Status Finish();

 private:
  enum class Step {
    kIdle,
    kUnderWay,
    kDone,
    kOver,
  };

  void OnReadInitialMetadataDone(bool ok) override { Reach(&headers_, ok); }
  void OnReadDone(bool ok) override { Reach(&reading_, ok); }
  void OnWriteDone(bool ok) override { Reach(&writing_, ok); }
  void OnWritesDoneDone(bool ok) override { Reach(&writing_, ok); }
  void OnDone(const grpc::Status& status) override;

  void Reach(Step* step, bool ok);
  bool Await(Step* step);

  grpc::GenericStub stub_;
  grpc::ByteBuffer sent_, received_;
  bool last_sent_ = false;  // the sending thread's

  std::mutex mutex_;
  std::condition_variable changed_;
  Step headers_ = Step::kUnderWay;
  Step reading_ = Step::kIdle;
  Step writing_ = Step::kIdle;
  bool done_ = false;
  grpc::Status status_;
};

}  // namespace plugind::pluginctl
