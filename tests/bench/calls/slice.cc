#include "slice.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>

namespace plugind::bench {
namespace {

using google::protobuf::BytesValue;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience(5);
constexpr size_t kEnough = 2;  // calls of each caller

// What all callers of a slice share.
class Slice {
 public:
  explicit Slice(const Load& load)
      : measure_from_(Clock::now() + load.duration / 5),
        end_(measure_from_ + load.duration * 4 / 5),
        enough_(kEnough * load.in_flight) {
    deadline_ = std::chrono::system_clock::now() + load.duration + 2 * kPatience;
    request_.mutable_value()->assign(load.size, 'x');
  }

  // Whether the caller goes on. An answer is right if it is as long as what was sent.
  bool Ended(Clock::time_point began, const grpc::Status& status, const BytesValue& response) {
    const Clock::time_point now = Clock::now();
    if (!status.ok()) return Failed(status.error_message());
    if (response.value().size() != request_.value().size()) return Failed("a wrong answer");
    ++outcome_.all;
    if (over_) return false;
    if (now >= measure_from_) outcome_.latencies.push_back(now - began);
    over_ = outcome_.failed > 0 || now >= end_ + kPatience ||
            (now >= end_ && outcome_.latencies.size() >= enough_);
    if (over_) outcome_.measured = now - measure_from_;
    return !over_;
  }
  bool Failed(const std::string& error) {
    if (outcome_.failed++ == 0) outcome_.error = error.empty() ? "no message" : error;
    return false;
  }

  const BytesValue& request() const { return request_; }
  std::chrono::system_clock::time_point deadline() const { return deadline_; }
  grpc::CompletionQueue& queue() { return queue_; }
  Outcome& outcome() { return outcome_; }

 private:
  Clock::time_point measure_from_;
  Clock::time_point end_;
  size_t enough_;
  bool over_ = false;  // what ends now is not measured any more
  std::chrono::system_clock::time_point deadline_;
  BytesValue request_;
  grpc::CompletionQueue queue_;
  Outcome outcome_;
};

// Of several, each has one call under way. Its own address is the tag of its operations.
class Caller {
 public:
  virtual ~Caller() = default;
  // An operation has ended. False: there is nothing more to wait for.
  virtual bool Proceed(bool ok) = 0;
};

class UnaryCaller final : public Caller {
 public:
  UnaryCaller(bench::v1::Echo::Stub& stub, Slice& slice) : stub_(stub), slice_(slice) { Start(); }

  bool Proceed(bool /*ok*/) override {
    if (!slice_.Ended(began_, status_, response_)) return false;
    Start();
    return true;
  }

 private:
  void Start() {
    context_.emplace();
    context_->set_deadline(slice_.deadline());
    began_ = Clock::now();
    reader_ = stub_.AsyncOnce(&*context_, slice_.request(), &slice_.queue());
    reader_->Finish(&response_, &status_, this);
  }

  bench::v1::Echo::Stub& stub_;
  Slice& slice_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<BytesValue>> reader_;
  Clock::time_point began_;
  BytesValue response_;
  grpc::Status status_;
};

class StreamingCaller final : public Caller {
 public:
  StreamingCaller(bench::v1::Echo::Stub& stub, Slice& slice) : slice_(slice) {
    context_.set_deadline(slice_.deadline());
    stream_ = stub.AsyncChat(&context_, &slice_.queue(), this);
  }

  bool Proceed(bool ok) override {
    switch (state_) {
      case State::kOpening:
        ok ? Exchange() : Finish();
        return true;
      case State::kExchanging:
        broken_ = broken_ || !ok;
        if (--pending_ > 0) return true;
        if (broken_) {
          Finish();
        } else if (slice_.Ended(began_, grpc::Status::OK, response_)) {
          Exchange();
        } else {
          state_ = State::kClosing;
          stream_->WritesDone(this);
        }
        return true;
      case State::kClosing:
        Finish();
        return true;
      case State::kFinishing:
        if (!status_.ok()) {
          slice_.Failed(status_.error_message());
        } else if (broken_) {
          slice_.Failed("the stream ended too early");
        }
        return false;
    }
    return false;
  }

 private:
  enum class State {
    kOpening,
    kExchanging,
    kClosing,
    kFinishing,
  };

  // The answer cannot be there before the message is gone, so the last of the two to end is the
  // answer's arrival.
  void Exchange() {
    state_ = State::kExchanging;
    pending_ = 2;
    began_ = Clock::now();
    stream_->Write(slice_.request(), this);
    stream_->Read(&response_, this);
  }
  void Finish() {
    state_ = State::kFinishing;
    stream_->Finish(&status_, this);
  }

  Slice& slice_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<BytesValue, BytesValue>> stream_;
  State state_ = State::kOpening;
  int pending_ = 0;
  bool broken_ = false;
  Clock::time_point began_;
  BytesValue response_;
  grpc::Status status_;
};

}  // namespace

Outcome RunSlice(bench::v1::Echo::Stub& stub, const Load& load) {
  Slice slice(load);
  std::vector<std::unique_ptr<Caller>> callers;
  for (size_t i = 0; i < load.in_flight; ++i) {
    switch (load.mode) {
      case Mode::kUnary:
        callers.push_back(std::make_unique<UnaryCaller>(stub, slice));
        break;
      case Mode::kStreaming:
        callers.push_back(std::make_unique<StreamingCaller>(stub, slice));
        break;
    }
  }
  for (size_t running = callers.size(); running > 0;) {
    void* caller = nullptr;
    bool ok = false;
    if (!slice.queue().Next(&caller, &ok)) break;
    if (!static_cast<Caller*>(caller)->Proceed(ok)) --running;
  }
  slice.queue().Shutdown();
  return std::move(slice.outcome());
}

}  // namespace plugind::bench
