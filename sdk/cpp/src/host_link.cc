#include "sdk/cpp/src/host_link.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <utility>
#include <vector>

#include "plugind/client.h"
#include "plugind/plugin.h"
#include "sdk/cpp/src/host_answers.h"

namespace plugind::sdk {
namespace {

// As long as plugind may take to come back while it is restarted.
constexpr std::chrono::seconds kStatusDeadline{30};
// Somebody waits for it.
constexpr std::chrono::seconds kAskDeadline{2};
constexpr const char* kService = "/plugind.host.v1.Host/";
constexpr size_t kMaxStatus = 1024;  // bytes; what host.proto allows

bool IsUnderPlugind() {
  const char* host = std::getenv("PLUGIND_HOST_ADDRESS");
  return host != nullptr && *host != '\0';
}

void RequirePlugind() {
  if (IsUnderPlugind()) return;
  throw std::logic_error("only plugind knows peers, and it is not this plugin's host");
}

// Cut between two characters of UTF-8.
void CutStatus(std::string& text) {
  if (text.size() <= kMaxStatus) return;
  size_t end = kMaxStatus;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  text.resize(end);
}

// SetStatusRequest{text}, by hand: see wire_fields.h.
grpc::ByteBuffer StatusRequest(const std::string& text) {
  std::string message(1, '\x0a');  // field 1, bytes
  for (size_t size = text.size();; size >>= 7U) {
    const bool last = size < 0x80;
    message += static_cast<char>((size & 0x7fU) | (last ? 0U : 0x80U));
    if (last) break;
  }
  const grpc::Slice slice(message + text);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!message.Valid() || !message.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

template <typename Answer>
Answer OrMalformed(std::optional<Answer> answer, const char* method) {
  if (answer) return *std::move(answer);
  throw HostError(method, {grpc::StatusCode::INTERNAL, "the host's answer is malformed"});
}

}  // namespace

struct HostLink::StatusCall {
  explicit StatusCall(const std::shared_ptr<grpc::Channel>& channel) : stub(channel) {}
  grpc::GenericStub stub;
  grpc::ClientContext context;
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
};

HostLink::HostLink() = default;

HostLink::~HostLink() {
  std::unique_lock lock(mutex_);
  over_ = true;
  if (call_ != nullptr) call_->context.TryCancel();
  idle_.wait(lock, [this] { return call_ == nullptr; });
}

void HostLink::Use(Stand stand) {
  std::lock_guard lock(mutex_);
  stand_ = std::move(stand);
}

void HostLink::SetStatus(std::string text) {
  CutStatus(text);
  std::lock_guard lock(mutex_);
  if (stand_) return stand_->set_status(text);
  if (!IsUnderPlugind()) return;
  next_ = std::move(text);
  if (call_ == nullptr) SendStatus();
}

const std::shared_ptr<grpc::Channel>& HostLink::Host() {
  if (host_ == nullptr) host_ = Client().control();
  return host_;
}

void HostLink::SendStatus() {
  try {
    call_ = std::make_unique<StatusCall>(Host());
  } catch (const std::invalid_argument& error) {
    next_.reset();
    return log(LogLevel::kWarn, "no status text without a host", {{"error", error.what()}});
  }
  call_->context.set_deadline(std::chrono::system_clock::now() + kStatusDeadline);
  call_->context.set_wait_for_ready(true);
  call_->request = StatusRequest(*std::exchange(next_, std::nullopt));
  call_->stub.UnaryCall(&call_->context, std::string(kService) + "SetStatus", grpc::StubOptions(),
                        &call_->request, &call_->response,
                        [this](const grpc::Status& status) { OnStatusDone(status); });
}

void HostLink::OnStatusDone(const grpc::Status& status) {
  std::unique_ptr<StatusCall> done;  // destroyed after the lock is released
  std::lock_guard lock(mutex_);
  done = std::move(call_);
  // An older plugind has no such service. A plugin works without its status text.
  if (!status.ok() && !over_ && status.error_code() != grpc::StatusCode::UNIMPLEMENTED) {
    log(LogLevel::kWarn, "the host did not take the status text",
        {{"error", status.error_message()}});
  }
  if (next_ && !over_) return SendStatus();
  idle_.notify_all();
}

std::shared_ptr<grpc::Channel> HostLink::Peer(const std::string& name) {
  std::lock_guard lock(mutex_);
  if (stand_) return stand_->peer(name);
  RequirePlugind();
  std::shared_ptr<grpc::Channel>& channel = peers_[name];
  if (channel == nullptr) {
    try {
      channel = Client().channel(name);
    } catch (...) {
      peers_.erase(name);
      throw;
    }
  }
  return channel;
}

std::string HostLink::Ask(const std::string& method) {
  RequirePlugind();
  std::shared_ptr<grpc::Channel> host;
  {
    std::lock_guard lock(mutex_);
    host = Host();
  }
  grpc::GenericStub stub(host);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kAskDeadline);
  const grpc::Slice empty;
  const grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, kService + method, request, &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);  // at the deadline at the latest
  queue.Shutdown();
  if (!status.ok()) throw HostError(method, status);
  return ToString(response);
}

Identity HostLink::Self() {
  {
    std::lock_guard lock(mutex_);
    if (stand_) return stand_->self();
  }
  return OrMalformed(ReadIdentity(Ask("GetSelf")), "GetSelf");
}

std::vector<plugind::Peer> HostLink::Peers() {
  {
    std::lock_guard lock(mutex_);
    if (stand_) return stand_->peers();
  }
  return OrMalformed(ReadPeers(Ask("ListPeers")), "ListPeers");
}

}  // namespace plugind::sdk
