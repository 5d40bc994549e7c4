#include "daemon/rpc/grpc_connection.h"

#include <nghttp2/nghttp2.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace plugind::rpc {
namespace {

// Read at a time, so that no plugin has the loop for itself. A flood of PINGs of this size is less
// than what nghttp2 answers before it gives the connection up.
constexpr size_t kReadSize = size_t{16} * 1024;

nghttp2_nv Field(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));  // copied, never written
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

// What nghttp2 calls while bytes go in and out. None of them runs a callback of ours.
struct GrpcConnection::Callbacks {
  static GrpcConnection& Self(void* user) { return *static_cast<GrpcConnection*>(user); }

  static ActiveCall* Find(void* user, int32_t id) {
    const auto it = Self(user).calls_.find(id);
    return it == Self(user).calls_.end() ? nullptr : &it->second;
  }

  static int Header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                    size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                    void* user) {
    if (ActiveCall* call = Find(user, frame->hd.stream_id)) {
      call->status.TakeField(Text(name, name_size), Text(value, value_size));
    }
    return 0;
  }

  static int Data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                  void* user) {
    ActiveCall* call = Find(user, id);
    if (call == nullptr) return 0;
    const absl::Status taken = call->assembler.Add(Text(data, size), [&](std::string bytes) {
      Self(user).deliveries_.push_back({id, call->message, nullptr, std::move(bytes), {}});
    });
    if (!taken.ok()) Self(user).Abort(id, taken);
    return 0;
  }

  static int NotSent(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS) {
      Self(user).Conclude(frame->hd.stream_id, absl::UnavailableError(nghttp2_strerror(error)));
    }
    return 0;
  }

  static int Closed(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    const ActiveCall* call = Find(user, id);
    if (call == nullptr) return 0;
    absl::Status outcome = call->status.Outcome(error);
    if (outcome.ok() && call->assembler.partial()) {
      outcome = absl::InternalError("the answer ended within a message");
    }
    Self(user).Conclude(id, outcome);
    return 0;
  }

  static ssize_t Body(nghttp2_session*, int32_t id, uint8_t* buffer, size_t room, uint32_t* flags,
                      nghttp2_data_source*, void* user) {
    ActiveCall* call = Find(user, id);
    if (call == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // cancelled: reset it
    const size_t size = call->request.copy(reinterpret_cast<char*>(buffer), room, call->sent);
    call->sent += size;
    if (call->open && size == 0) return NGHTTP2_ERR_DEFERRED;
    if (call->sent == call->request.size() && !call->open) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }
};

GrpcConnection::GrpcConnection(EventLoop& loop, UniqueFd socket, tls::ClientPtr tls)
    : loop_(loop), socket_(std::move(socket)) {
  if (tls != nullptr) tls_.emplace(std::move(tls), socket_.get());
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::Header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::Data);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, Callbacks::NotSent);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::Closed);
  nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry no_push{NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &no_push, 1);
  Watch(/*for_room=*/false);
}

GrpcConnection::~GrpcConnection() {
  if (socket_.valid()) loop_.Unwatch(socket_.get());
  nghttp2_session_del(session_);
}

bool GrpcConnection::usable() const {
  return socket_.valid() && nghttp2_session_check_request_allowed(session_) != 0;
}

GrpcConnection::CallId GrpcConnection::Call(const std::string& method, std::string_view request,
                                            std::optional<Duration> timeout, OnMessage message,
                                            OnDone done) {
  return Begin(method, Framed(request), /*open=*/false, timeout, std::move(message),
               std::move(done));
}

GrpcConnection::CallId GrpcConnection::OpenStream(const std::string& method, OnMessage message,
                                                  OnDone done) {
  return Begin(method, "", /*open=*/true, std::nullopt, std::move(message), std::move(done));
}

bool GrpcConnection::Send(CallId id, std::string_view request) {
  const auto it = calls_.find(id);
  if (it == calls_.end()) return false;
  ActiveCall& call = it->second;
  call.request.erase(0, std::exchange(call.sent, 0));
  if (call.request.size() + request.size() > kMostUnsent) return false;
  call.request += Framed(request);
  nghttp2_session_resume_data(session_, id);
  AtEndOfRound();
  return true;
}

GrpcConnection::CallId GrpcConnection::Begin(const std::string& method, std::string_view framed,
                                             bool open, std::optional<Duration> timeout,
                                             OnMessage message, OnDone done) {
  std::vector<nghttp2_nv> fields = {
      Field(":method", "POST"), Field(":scheme", tls_ ? "https" : "http"), Field(":path", method),
      // Some servers refuse an escaped socket path here.
      Field(":authority", "localhost"), Field("te", "trailers"),
      Field("content-type", "application/grpc"), Field("user-agent", "plugind")};
  const std::string limit = timeout ? TimeoutHeader(*timeout) : "";
  if (timeout) fields.push_back(Field("grpc-timeout", limit));
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::Body;
  const CallId id = usable() ? nghttp2_submit_request(session_, nullptr, fields.data(),
                                                      fields.size(), &body, nullptr)
                             : -1;
  AtEndOfRound();
  if (id < 0) {
    --last_refused_;
    deliveries_.push_back({last_refused_, nullptr, std::move(done), "",
                           absl::UnavailableError("the connection has ended")});
    return last_refused_;
  }
  ActiveCall& call = calls_[id];
  call.request = framed;
  call.open = open;
  call.message = std::make_shared<const OnMessage>(std::move(message));
  call.done = std::move(done);
  if (timeout) {
    call.deadline = std::make_unique<Deadline>(loop_.timers());
    call.deadline->Set(loop_.clock().Now() + *timeout, [this, id, timeout = *timeout] {
      Abort(id, Error(absl::StatusCode::kDeadlineExceeded, "no answer within {} s",
                      std::chrono::duration<double>(timeout).count()));
      AtEndOfRound();
    });
  }
  return id;
}

void GrpcConnection::Cancel(CallId id) {
  std::erase_if(deliveries_, [id](const Delivery& d) { return d.id == id; });
  if (calls_.erase(id) == 0) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  AtEndOfRound();
}

void GrpcConnection::Abort(CallId id, const absl::Status& status) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  Conclude(id, status);
}

void GrpcConnection::Conclude(CallId id, const absl::Status& status) {
  auto call = calls_.extract(id);
  if (call) deliveries_.push_back({id, nullptr, std::move(call.mapped().done), "", status});
}

void GrpcConnection::Break(const std::string& why) {
  if (!socket_.valid()) return;
  loop_.Unwatch(socket_.get());
  socket_.reset();
  const std::string cause = tls_ && !tls_->trouble().empty() ? tls_->trouble() : why;
  if (secured_) {
    deliveries_.push_back(
        {0, nullptr, std::exchange(secured_, nullptr), "",
         tls_->impostor() ? absl::FailedPreconditionError(cause) : absl::UnavailableError(cause)});
  }
  while (!calls_.empty()) Conclude(calls_.begin()->first, absl::UnavailableError(cause));
}

void GrpcConnection::Secure(OnDone done) {
  secured_ = std::move(done);
  AtEndOfRound();
}

void GrpcConnection::TellSecured() {
  if (!secured_ || !tls_->secured()) return;
  deliveries_.push_back({0, nullptr, std::exchange(secured_, nullptr), "", absl::OkStatus()});
}

void GrpcConnection::Watch(bool for_room) {
  waits_for_room_ = for_room;
  loop_.Watch(socket_.get(), EPOLLIN | (for_room ? EPOLLOUT : 0U),
              [this](uint32_t events) { OnEvents(events); });
}

void GrpcConnection::OnEvents(uint32_t events) {
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) == 0 || Receive()) Flush();
  Deliver();
}

bool GrpcConnection::Receive() {
  std::array<uint8_t, kReadSize> buffer;
  const ssize_t size = tls_ ? tls_->Receive({reinterpret_cast<char*>(buffer.data()), buffer.size()})
                            : ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (size <= 0) {
    Break(size == 0 ? "the plugin closed the connection"
                    : std::string("the connection broke: ") + std::strerror(errno));
    return false;
  }
  if (tls_) ReceiveAgain();
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, buffer.data(), static_cast<size_t>(size));
  if (taken >= 0) return true;
  Break(std::string("what the plugin sent is not HTTP/2: ") +
        nghttp2_strerror(static_cast<int>(taken)));
  return false;
}

void GrpcConnection::Flush() {
  while (socket_.valid()) {
    const uint8_t* data = nullptr;
    ssize_t size = 0;
    // Together, so that a call is one write and wakes the plugin once. HTTP/2 is asked for more
    // only when all of this has left: what a plugin does not read does not pile up here.
    while (unsent_.size() < kReadSize && (size = nghttp2_session_mem_send(session_, &data)) > 0) {
      unsent_.append(Text(data, static_cast<size_t>(size)));
    }
    if (size < 0) return Break(nghttp2_strerror(static_cast<int>(size)));
    if (unsent_.empty() && !HasSealed()) break;
    const ssize_t sent = Write();
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      // Within TLS's handshake it may be the plugin's turn.
      const bool for_room = !tls_ || HasSealed();
      if (for_room != waits_for_room_) Watch(for_room);
      return;
    }
    if (sent < 0) return Break(std::string("the connection broke: ") + std::strerror(errno));
    unsent_.erase(0, static_cast<size_t>(sent));
  }
  if (!socket_.valid()) return;
  if (waits_for_room_) Watch(/*for_room=*/false);
  if (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0) {
    Break("the plugin ended the connection");
  }
}

ssize_t GrpcConnection::Write() {
  if (!tls_)
    return ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  const iovec piece{unsent_.data(), unsent_.size()};
  return tls_->Send({&piece, 1});
}

void GrpcConnection::ReceiveAgain() {
  loop_.Post([this, alive = std::weak_ptr<const bool>(alive_)] {
    if (!alive.expired() && socket_.valid()) OnEvents(EPOLLIN);
  });
}

void GrpcConnection::AtEndOfRound() {
  if (std::exchange(round_ends_, true)) return;
  loop_.Post([this, alive = std::weak_ptr<const bool>(alive_)] {
    if (alive.expired()) return;
    round_ends_ = false;
    Flush();
    Deliver();
  });
}

void GrpcConnection::Deliver() {
  TellSecured();
  const std::weak_ptr<const bool> alive = alive_;
  // One by one: a callback may cancel a call that is further back, or destroy all of this.
  while (!alive.expired() && !deliveries_.empty()) {
    const Delivery next = std::move(deliveries_.front());
    deliveries_.erase(deliveries_.begin());
    if (next.message == nullptr) {
      next.done(next.status);
    } else {
      (*next.message)(next.bytes);
    }
  }
}

}  // namespace plugind::rpc
