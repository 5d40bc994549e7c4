#include "daemon/gateway/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/gateway/call.h"

namespace plugind::gateway {
namespace {

std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

constexpr size_t kFrameHead = 9;
constexpr size_t kEntryOverhead = 32;  // RFC 9113, 6.5.2
constexpr uint64_t kNoLimit = uint64_t{1} << 32;
constexpr uint32_t kReadable = EPOLLIN | EPOLLRDHUP | EPOLLET;

}  // namespace

// Between nghttp2's C callbacks and a Connection's methods.
struct Callbacks {
  static Connection& Of(void* user_data) { return *static_cast<Connection*>(user_data); }

  static int BeginFrame(nghttp2_session*, const nghttp2_frame_hd* head, void* user_data) {
    Of(user_data).OnBeginFrame(*head);
    return 0;
  }
  static int BeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Of(user_data).block_bytes_ = 0;
    ++Of(user_data).blocks_;
    return Of(user_data).OnBeginHeaders(*frame);
  }
  static int Header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                    size_t namelen, const uint8_t* value, size_t valuelen, uint8_t,
                    void* user_data) {
    Connection& connection = Of(user_data);
    connection.block_bytes_ += namelen + valuelen + kEntryOverhead;
    if (connection.block_bytes_ >
        connection.worker_.shared().limits.header_bytes * Limits::kHeadersFarBeyond) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    connection.OnHeader(*frame, View(name, namelen), View(value, valuelen));
    return 0;
  }
  static int FrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Connection& connection = Of(user_data);
    if (connection.IsFlood(*frame)) {
      connection.Terminate(NGHTTP2_ENHANCE_YOUR_CALM);
      return 0;
    }
    return connection.OnFrame(*frame);
  }
  static int Data(nghttp2_session* session, uint8_t, int32_t stream, const uint8_t* data,
                  size_t size, void* user_data) {
    // A connection's window is never what stops a stream: see Limits::kConnectionWindow.
    nghttp2_session_consume_connection(session, size);
    Of(user_data).OnData(stream, View(data, size));
    return 0;
  }
  static int StreamClosed(nghttp2_session*, int32_t stream, uint32_t error, void* user_data) {
    Of(user_data).OnStreamClosed(stream, error);
    return 0;
  }
  static int BeforeFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Of(user_data).OnBeforeFrameSent(*frame);
    return 0;
  }
  static int FrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Connection& connection = Of(user_data);
    connection.told_ =
        connection.told_ || frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    connection.OnFrameSent(*frame);
    return 0;
  }
  static ssize_t BodyWanted(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                            nghttp2_data_source* source, void* user_data) {
    return Of(user_data).OnBodyWanted(*static_cast<Call*>(source->ptr), length, flags);
  }
  static int SendBody(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t length,
                      nghttp2_data_source* source, void* user_data) {
    Connection& connection = Of(user_data);
    connection.output_.Copy(View(head, kFrameHead));
    connection.OnBodyTaken(*static_cast<Call*>(source->ptr), length);
    return 0;
  }
  static ssize_t FrameLength(nghttp2_session*, uint8_t, int32_t, int32_t connection_window,
                             int32_t stream_window, uint32_t max_frame, void*) {
    // nghttp2 makes room for as much as it is told, and the peer may allow 16 MiB.
    return std::min(
        {connection_window, stream_window, Limits::kGrownWindow, static_cast<int32_t>(max_frame)});
  }

  // One table for all sessions.
  static const nghttp2_session_callbacks* Table() {
    static const nghttp2_session_callbacks* const table = [] {
      nghttp2_session_callbacks* made = nullptr;
      nghttp2_session_callbacks_new(&made);
      nghttp2_session_callbacks_set_on_begin_frame_callback(made, BeginFrame);
      nghttp2_session_callbacks_set_on_begin_headers_callback(made, BeginHeaders);
      nghttp2_session_callbacks_set_on_header_callback(made, Header);
      nghttp2_session_callbacks_set_on_frame_recv_callback(made, FrameReceived);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, Data);
      nghttp2_session_callbacks_set_on_stream_close_callback(made, StreamClosed);
      nghttp2_session_callbacks_set_before_frame_send_callback(made, BeforeFrameSent);
      nghttp2_session_callbacks_set_on_frame_send_callback(made, FrameSent);
      nghttp2_session_callbacks_set_send_data_callback(made, SendBody);
      nghttp2_session_callbacks_set_data_source_read_length_callback(made, FrameLength);
      return made;
    }();
    return table;
  }
};

Connection::Connection(Worker& worker, UniqueFd fd, tls::ClientPtr tls)
    : worker_(worker),
      fd_(std::move(fd)),
      control_(worker.shared().limits.control_frames_per_second,
               worker.shared().limits.control_frames_per_second, worker.round()) {
  if (tls != nullptr) tls_.emplace(std::move(tls), fd_.get());
}

Connection::~Connection() { nghttp2_session_del(session_); }

bool Connection::Start(bool server) {
  nghttp2_option* option = nullptr;
  if (nghttp2_option_new(&option) != 0) return false;
  nghttp2_option_set_no_auto_window_update(option, 1);
  // A server's session remembers the streams that its caller has ended, as many as may be open at
  // once: bytes for one of them are then an error (RFC 9113, 6.1) and not dropped.
  nghttp2_option_set_no_closed_streams(option, server ? 0 : 1);
  // Ours counts more than resets, and by the same clock as everything else.
  nghttp2_option_set_stream_reset_rate_limit(option, kNoLimit, kNoLimit);
  nghttp2_option_set_max_continuations(option, Limits::kContinuations);
  const int made = server
                       ? nghttp2_session_server_new2(&session_, Callbacks::Table(), this, option)
                       : nghttp2_session_client_new2(&session_, Callbacks::Table(), this, option);
  nghttp2_option_del(option);
  if (made != 0) return false;
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, Limits::kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, Limits::kFrameSize},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, worker_.shared().limits.header_bytes},
  };
  if (server) {
    settings.push_back(
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, worker_.shared().limits.streams_per_connection});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  }
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, Limits::kConnectionWindow);
  if (fd_.valid()) {
    // A large message then takes fewer turns of writer and reader. The kernel caps it.
    const int bytes = 1 << 20;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (!worker_.Watch(fd_.get(), kReadable, *this)) return false;
  }
  worker_.MarkDirty(*this);
  return true;
}

void Connection::OnReady(uint32_t events) {
  if (closed_) return;
  if ((events & EPOLLOUT) != 0 && blocked_) {
    blocked_ = false;
    worker_.Rewatch(fd_.get(), kReadable, *this);
    worker_.MarkDirty(*this);
  }
  hung_up_ = hung_up_ || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) Read();
}

void Connection::Read() {
  size_t budget = Limits::kReadPerRound;
  while (!closed_ && !broken_) {
    std::span<char> area = worker_.ReceiveArea();
    if (closed_) return;
    area = area.first(std::min(area.size(), at_once_));
    const ssize_t size = Receive(area);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return Close(size == 0 ? "the peer closed the connection" : Failure());
    const auto bytes = static_cast<size_t>(size);
    worker_.Received(bytes);
    blocks_ = 0;
    Feed({area.data(), bytes});
    // An end that came together with the last bytes is told by no further event; nor is TLS's own.
    if (bytes < area.size() && !hung_up_ && !tls_) return;
    if (blocks_ > Limits::kHeaderBlocksPerRound) {
      at_once_ = Limits::kLeastRead;
      return worker_.ReadAgain(*this);
    }
    at_once_ = std::min(at_once_ * 2, Limits::kReadPerRound);
    budget -= std::min(budget, bytes);
    if (budget == 0) return worker_.ReadAgain(*this);
  }
}

ssize_t Connection::Receive(std::span<char> room) {
  if (!tls_) return ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
  const bool was_secured = tls_->secured();
  const ssize_t size = tls_->Receive(room);
  // What has waited for the handshake may go out.
  if (!was_secured && tls_->secured()) worker_.MarkDirty(*this);
  return size;
}

Output::Result Connection::WriteOut() {
  return tls_ ? output_.WriteTo(*tls_) : output_.WriteTo(fd_.get());
}

std::string Connection::Failure() const {
  return tls_ && !tls_->trouble().empty() ? tls_->trouble() : std::strerror(errno);
}

void Connection::Feed(std::string_view bytes) {
  if (closed_ || broken_) return;
  const ssize_t used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (closed_) return;
  worker_.MarkDirty(*this);
  if (used < 0) {
    // What nghttp2 thinks of it (a GOAWAY) is written before the end, as far as the socket takes
    // it.
    broken_ = true;
  }
}

void Connection::Write() {
  dirty_ = false;
  if (closed_) return;
  if (blocked_) {
    if (broken_) return Close("the peer broke HTTP/2");
    if (IsStuck()) return Close("the peer does not read");
    return;
  }
  while (true) {
    while (output_.size() < Limits::kOutputBytes) {
      const uint8_t* data = nullptr;
      const size_t before = output_.size();
      const ssize_t size = nghttp2_session_mem_send(session_, &data);
      if (size < 0) return Close(nghttp2_strerror(static_cast<int>(size)));
      output_.Copy(View(data, static_cast<size_t>(size)));
      // A piece of body went to output_ by SendBody, past mem_send's result.
      if (size == 0 && output_.size() == before) break;
    }
    if (!HasOutput()) break;
    if (!fd_.valid()) {
      output_.Discard();
      continue;
    }
    const Output::Result result = WriteOut();
    if (result == Output::Result::kFailed) return Close(Failure());
    if (result == Output::Result::kBlocked) {
      // Within TLS's handshake it may be the peer's turn; what it says leads here again.
      if (tls_ && !tls_->blocked()) break;
      // Asked for only now: a peer that reads would otherwise wake this thread each time.
      blocked_ = true;
      worker_.Rewatch(fd_.get(), kReadable | EPOLLOUT, *this);
      break;
    }
  }
  if (broken_) return HangUp("the peer broke HTTP/2");
  if (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0 &&
      !HasOutput()) {
    HangUp("the session is over");
  }
}

void Connection::Close(const std::string& why) {
  if (closed_) return;
  closed_ = true;
  if (fd_.valid()) worker_.Unwatch(fd_.get());
  OnClosed(why);
  worker_.Bury(*this);
}

void Connection::HangUp(const std::string& why) {
  Close(why);
  const bool caller = nghttp2_session_check_server_session(session_) != 0;
  if (caller && fd_.valid() && !hung_up_) worker_.Linger(std::move(fd_));
}

void Connection::Terminate(uint32_t http2_error) {
  nghttp2_session_terminate_session(session_, http2_error);
  // What it sends from now on is not even looked at.
  broken_ = true;
  worker_.MarkDirty(*this);
}

void Connection::Consume(int32_t stream, size_t bytes) {
  if (closed_) return;
  nghttp2_session_consume_stream(session_, stream, bytes);
  // Whether that made a WINDOW_UPDATE, only the session knows.
  if (nghttp2_session_want_write(session_) != 0) worker_.MarkDirty(*this);
}

bool Connection::Grow(int32_t stream) {
  constexpr int64_t kExtra = Limits::kGrownWindow - Limits::kStreamWindow;
  if (closed_ || growth_left_ < kExtra) return false;
  if (nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, stream,
                                            Limits::kGrownWindow) != 0) {
    return false;
  }
  growth_left_ -= kExtra;
  worker_.MarkDirty(*this);
  return true;
}

void Connection::GiveBackGrowth() { growth_left_ += Limits::kGrownWindow - Limits::kStreamWindow; }

nghttp2_data_provider Connection::BodyOf(Call& call) {
  nghttp2_data_provider provider{};
  provider.source.ptr = &call;
  provider.read_callback = Callbacks::BodyWanted;
  return provider;
}

bool Connection::IsFlood(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_PING:
      // grpc-go pings at every round trip in which data comes: what goes with work is no flood.
      if (std::exchange(told_, false)) return false;
      break;
    case NGHTTP2_DATA:
      // The last one of a stream is empty where the caller learns late that there is no more.
      if (frame.hd.length > 0 || (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) return false;
      break;
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PRIORITY:
      break;
    default:
      return false;
  }
  return !control_.Take(worker_.round());
}

bool Connection::IsStuck() const {
  // Towards a plugin it is callers that fill the queue, and Worker::Connect minds it.
  return nghttp2_session_check_server_session(session_) != 0 &&
         nghttp2_session_get_outbound_queue_size(session_) >
             Limits::kQueuedFrames + 4 * worker_.shared().limits.streams_per_connection;
}

}  // namespace plugind::gateway
