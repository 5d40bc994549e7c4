#include "daemon/pluginctl/call/generic_call.h"

#include <grpcpp/support/sync_stream.h>

#include <vector>

namespace plugind::pluginctl {
namespace {

// As the stubs that protoc generates do it: gRPC's public generic stub has calls on completion
// queues and callbacks only, and the threads that run callbacks may sleep for a tenth of a second
// with a message at hand.
std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> Begin(
    grpc::Channel* channel, const std::string& path, grpc::ClientContext* context) {
  const grpc::internal::RpcMethod method(path.c_str(), grpc::internal::RpcMethod::BIDI_STREAMING);
  using Factory = grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>;
  return std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>>(
      Factory::Create(channel, method, context));
}

}  // namespace

GenericCall::GenericCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                         grpc::ClientContext* context)
    : stream_(Begin(channel.get(), path, context)) {}

bool GenericCall::Send(const std::string& message, Follow follow) {
  const grpc::Slice slice(message);
  grpc::WriteOptions options;
  if (follow == Follow::kNothing) options.set_last_message();
  return stream_->Write(grpc::ByteBuffer(&slice, 1), options);
}

void GenericCall::EndSending() { stream_->WritesDone(); }

void GenericCall::AwaitHeaders() { stream_->WaitForInitialMetadata(); }

bool GenericCall::Receive(std::string* message) {
  grpc::ByteBuffer buffer;
  std::vector<grpc::Slice> slices;
  if (!stream_->Read(&buffer) || !buffer.Dump(&slices).ok()) return false;
  message->clear();
  message->reserve(buffer.Length());
  for (const grpc::Slice& slice : slices)
    message->append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return true;
}

grpc::Status GenericCall::Finish() { return stream_->Finish(); }

}  // namespace plugind::pluginctl
