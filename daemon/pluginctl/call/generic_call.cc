#include "daemon/pluginctl/call/generic_call.h"

#include <utility>
#include <vector>

namespace plugind::pluginctl {
namespace {

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

// Whether its pieces could be put together.
bool ToString(const grpc::ByteBuffer& buffer, std::string* bytes) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return false;
  bytes->clear();
  bytes->reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes->append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return true;
}

}  // namespace

GenericCall::GenericCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                         grpc::ClientContext* context)
    : stub_(channel) {
  stub_.PrepareBidiStreamingCall(context, path, grpc::StubOptions(), this);
  AddMultipleHolds(2);  // one for the thread that sends, one for the thread that receives
  StartCall();
}

bool GenericCall::Send(const std::string& message, Follow follow) {
  sent_ = ToBuffer(message);
  {
    const std::lock_guard lock(mutex_);
    writing_ = Step::kUnderWay;
  }
  if (follow == Follow::kNothing) {
    last_sent_ = true;
    StartWriteLast(&sent_, grpc::WriteOptions());
  } else {
    StartWrite(&sent_);
  }
  return Await(&writing_);
}

void GenericCall::EndSending() {
  if (!last_sent_) {
    {
      const std::lock_guard lock(mutex_);
      writing_ = Step::kUnderWay;
    }
    StartWritesDone();
    Await(&writing_);
  }
  RemoveHold();
}

bool GenericCall::Receive(std::string* message) {
  received_.Clear();
  {
    const std::lock_guard lock(mutex_);
    reading_ = Step::kUnderWay;
  }
  StartRead(&received_);
  return Await(&reading_) && ToString(received_, message);
}

grpc::Status GenericCall::Finish() {
  RemoveHold();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_; });
  return status_;
}

void GenericCall::OnDone(const grpc::Status& status) {
  // Under the lock, because the object may be gone as soon as Finish returns.
  const std::lock_guard lock(mutex_);
  status_ = status;
  done_ = true;
  changed_.notify_all();
}

void GenericCall::Reach(Step* step, bool ok) {
  const std::lock_guard lock(mutex_);
  *step = ok ? Step::kDone : Step::kOver;
  changed_.notify_all();
}

bool GenericCall::Await(Step* step) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [step] { return *step != Step::kUnderWay; });
  return *step == Step::kDone;
}

}  // namespace plugind::pluginctl
