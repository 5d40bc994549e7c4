#include "sdk/cpp/src/stdio_service.h"

#include <utility>

namespace plugind::sdk {
namespace {

constexpr size_t kCapacity = 256 * 1024;
constexpr size_t kChunk = 1024;  // go-plugin's own; hosts are known to cope with it

}  // namespace

// One StreamStdio call. Guarded by the service's mutex; gRPC is called outside of it, which is safe
// because `busy_` and `finished_` let only one thread at a time act on the call.
class StdioService::Reader final : public grpc::ServerWriteReactor<::plugin::StdioData> {
 public:
  explicit Reader(StdioService& service) : service_(service) {}

  // Keeps this object alive until gRPC is done with it, whatever the service forgets.
  void Hold(std::shared_ptr<Reader> self) { self_ = std::move(self); }

  void Advance() {
    bool write = false;
    grpc::Status status;
    {
      std::lock_guard lock(service_.mutex_);
      if (busy_ || finished_) return;
      const bool current = service_.reader_.get() == this;
      if (!cancelled_ && current && !service_.buffer_.empty()) {
        data_.set_channel(::plugin::StdioData::STDOUT);
        data_.set_data(service_.buffer_.Take(kChunk));
        busy_ = write = true;
      } else if (cancelled_ || !current || service_.ended_) {
        if (!current)
          status = {grpc::StatusCode::ABORTED, "another host reads this plugin's output now"};
        finished_ = true;
      } else {
        return;
      }
    }
    // Either call may be answered, and this object gone, before it returns.
    if (write) {
      StartWrite(&data_);
    } else {
      Finish(status);
    }
  }

  void OnWriteDone(bool ok) override {
    {
      std::lock_guard lock(service_.mutex_);
      busy_ = false;
      if (!ok) cancelled_ = true;
    }
    Advance();
  }

  void OnCancel() override {
    {
      std::lock_guard lock(service_.mutex_);
      cancelled_ = true;
    }
    Advance();
  }

  void OnDone() override {
    // Destroyed after the lock is released.
    std::shared_ptr<Reader> self = std::move(self_);
    std::lock_guard lock(service_.mutex_);
    if (service_.reader_ == self) service_.reader_.reset();
  }

 private:
  StdioService& service_;
  std::shared_ptr<Reader> self_;
  ::plugin::StdioData data_;
  bool busy_ = false;  // a write is under way
  bool cancelled_ = false;
  bool finished_ = false;
};

StdioService::StdioService() : buffer_(kCapacity) {}
StdioService::~StdioService() = default;

void StdioService::Print(std::string_view data) {
  std::shared_ptr<Reader> reader;
  {
    std::lock_guard lock(mutex_);
    buffer_.Append(data);
    reader = reader_;
  }
  if (reader != nullptr) reader->Advance();
}

void StdioService::End() {
  std::shared_ptr<Reader> reader;
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
    reader = reader_;
  }
  if (reader != nullptr) reader->Advance();
}

grpc::ServerWriteReactor<::plugin::StdioData>* StdioService::StreamStdio(
    grpc::CallbackServerContext* /*context*/, const google::protobuf::Empty* /*request*/) {
  auto reader = std::make_shared<Reader>(*this);
  reader->Hold(reader);
  std::shared_ptr<Reader> previous;
  {
    std::lock_guard lock(mutex_);
    previous = std::exchange(reader_, reader);
  }
  if (previous != nullptr) previous->Advance();
  reader->Advance();
  return reader.get();
}

}  // namespace plugind::sdk
