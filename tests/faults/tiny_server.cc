#include "tests/faults/tiny_server.h"

#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

namespace plugind::faults {
namespace {

constexpr size_t kFramePrefix = 5;  // gRPC: compressed flag, four bytes of length
constexpr int kUnimplemented = 12;

std::string Framed(std::string_view message) {
  const auto size = static_cast<uint32_t>(message.size());
  std::string out{'\0', static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                  static_cast<char>(size >> 8), static_cast<char>(size)};
  return out.append(message);
}

std::string Frame(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  std::string out;
  for (const int shift : {16, 8, 0}) out.push_back(static_cast<char>(size >> shift));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(stream >> shift));
  return out.append(payload);
}

nghttp2_nv Header(std::string_view name, std::string_view value) {
  // nghttp2 copies both before the submit call returns; its struct merely lacks the const.
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

struct TinyServer::Stream {
  int32_t id = 0;
  std::string path;
  std::string request;   // as received, gRPC prefix included
  std::string response;  // not yet sent
  int status = 0;
  bool open_ended = false;   // a Watch: more may follow
  bool endless = false;      // zeros without end
  bool half_closes = false;  // END_STREAM, and no trailers
};

struct TinyServer::Connection {
  TinyServer* server = nullptr;
  int fd = -1;
  nghttp2_session* session = nullptr;
  std::map<int32_t, Stream> streams;
  std::string raw;    // past the session
  std::string flood;  // sent again and again once `raw` is gone

  bool wants_to_write() const {
    return !raw.empty() || !flood.empty() || nghttp2_session_want_write(session) != 0;
  }
  // False: the connection has ended.
  bool WriteRaw() {
    if (raw.empty()) raw = flood;
    if (raw.empty()) return true;
    const ssize_t sent = ::send(fd, raw.data(), raw.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    raw.erase(0, static_cast<size_t>(sent));
    return true;
  }

  ~Connection() {
    nghttp2_session_del(session);
    ::close(fd);
  }
};

struct Callbacks {
  using Connection = TinyServer::Connection;

  static Connection& Of(void* user) { return *static_cast<Connection*>(user); }

  static ssize_t Send(nghttp2_session*, const uint8_t* data, size_t size, int, void* user) {
    const ssize_t sent = ::send(Of(user).fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == EINTR ? NGHTTP2_ERR_WOULDBLOCK
                                             : NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int BeginHeaders(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      Of(user).streams[frame->hd.stream_id].id = frame->hd.stream_id;
    }
    return 0;
  }

  static int HeaderSeen(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                        size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                        void* user) {
    const std::string_view key(reinterpret_cast<const char*>(name), name_size);
    if (key == ":path") {
      Of(user).streams[frame->hd.stream_id].path.assign(reinterpret_cast<const char*>(value),
                                                        value_size);
    }
    return 0;
  }

  static int DataChunk(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                       void* user) {
    Of(user).streams[id].request.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }

  static int FrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (last && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)) {
      const auto found = Of(user).streams.find(frame->hd.stream_id);
      if (found != Of(user).streams.end()) Of(user).server->Dispatch(Of(user), found->second);
    }
    return 0;
  }

  static int StreamClosed(nghttp2_session*, int32_t id, uint32_t, void* user) {
    Of(user).streams.erase(id);
    return 0;
  }

  static ssize_t ReadBody(nghttp2_session* session, int32_t id, uint8_t* buffer, size_t room,
                          uint32_t* flags, nghttp2_data_source*, void* user) {
    TinyServer::Stream& stream = Of(user).streams[id];
    if (stream.endless && stream.response.empty()) stream.response.assign(room, '\0');
    const size_t size = std::min(room, stream.response.size());
    std::copy_n(stream.response.begin(), size, buffer);
    stream.response.erase(0, size);
    if (stream.open_ended && size == 0) return NGHTTP2_ERR_DEFERRED;
    if (stream.half_closes) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (!stream.open_ended && !stream.endless && stream.response.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const std::string status = std::to_string(stream.status);
      const std::array trailer{Header("grpc-status", status)};
      nghttp2_submit_trailer(session, id, trailer.data(), trailer.size());
    }
    return static_cast<ssize_t>(size);
  }
};

TinyServer::TinyServer(int listener, Behaviour behaviour)
    : listener_(listener), behaviour_(behaviour) {}
TinyServer::~TinyServer() = default;

std::string TinyServer::HealthAnswer() const {
  return Framed(behaviour_.serving
                    ? "\x08\x01"
                    : "\x08\x02");  // HealthCheckResponse.status: SERVING, NOT_SERVING
}

void TinyServer::Dispatch(Connection& connection, Stream& stream) {
  if (behaviour_.leaks) (void)!::dup(STDIN_FILENO);
  const bool check = stream.path == "/grpc.health.v1.Health/Check";
  const bool watch = stream.path == "/grpc.health.v1.Health/Watch" && behaviour_.watch;
  if ((check || watch) && behaviour_.health_hangs) return;
  if (stream.path == "/fault.v1.Fault/Never") return;
  if (stream.path == "/fault.v1.Fault/Exit") ::_exit(7);

  if (Break(connection, stream)) return;
  if (check || watch) {
    stream.response = HealthAnswer();
    stream.open_ended = watch;
  } else if (stream.path == "/fault.v1.Fault/Echo" && stream.request.size() >= kFramePrefix) {
    stream.response = stream.request;
  } else {
    stream.status = kUnimplemented;
  }
  const std::array headers{Header(":status", "200"), Header("content-type", "application/grpc")};
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::ReadBody;
  nghttp2_submit_response(connection.session, stream.id, headers.data(), headers.size(), &body);
}

bool TinyServer::Break(Connection& connection, Stream& stream) {
  constexpr std::string_view kPrefix = "/fault.v1.Fault/BreakBy";
  if (!stream.path.starts_with(kPrefix)) return false;
  const std::string_view breach = std::string_view(stream.path).substr(kPrefix.size());
  const auto many = [](const std::string& frame) {
    std::string all;
    for (int i = 0; i < 100; ++i) all += frame;
    return all;
  };
  // HPACK: ":status: 200", and an entry of the static table ("accept-encoding: gzip, deflate").
  const std::string status = "\x88";
  const std::string entry = "\x90";
  std::vector<nghttp2_nv> headers{Header(":status", "200"),
                                  Header("content-type", "application/grpc")};
  const std::string long_value(9000, 'm');
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::ReadBody;

  if (breach == "Goaway") {  // 29
    nghttp2_submit_goaway(connection.session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_INTERNAL_ERROR, nullptr,
                          0);
  } else if (breach == "ResetFlood") {
    connection.flood = many(Frame(NGHTTP2_RST_STREAM, 0, stream.id, std::string(4, '\x02')));
  } else if (breach == "PingFlood") {
    connection.flood = many(Frame(NGHTTP2_PING, 0, 0, "12345678"));
  } else if (breach == "SettingsFlood") {
    connection.flood = many(Frame(NGHTTP2_SETTINGS, 0, 0, ""));
  } else if (breach == "PaddedHeaders") {
    connection.raw = Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_PADDED | NGHTTP2_FLAG_END_HEADERS,
                           stream.id, "\xff" + status + std::string(255, '\0'));
    connection.flood =
        many(Frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, stream.id, "\xff" + std::string(255, '\0')));
  } else if (breach == "EndlessContinuation") {
    connection.raw = Frame(NGHTTP2_HEADERS, 0, stream.id, status);
    connection.flood = many(Frame(NGHTTP2_CONTINUATION, 0, stream.id, entry));
  } else if (breach == "HeaderBomb") {
    connection.raw = Frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream.id,
                           status + std::string(16'000, entry[0]));
  } else if (breach == "Garbage") {
    connection.raw = std::string(100'000, '\xff');
  } else if (breach == "GiantMessage") {  // 27: says 4 GiB, and means it
    stream.response = std::string("\0\xff\xff\xff\xff", kFramePrefix);
    stream.endless = true;
    nghttp2_submit_response(connection.session, stream.id, headers.data(), headers.size(), &body);
  } else if (breach == "HalfClose") {  // 28
    stream.half_closes = true;
    nghttp2_submit_response(connection.session, stream.id, headers.data(), headers.size(), &body);
  } else if (breach == "LongMetadata") {  // 30
    headers.push_back(Header("x-long", long_value));
    nghttp2_submit_response(connection.session, stream.id, headers.data(), headers.size(), &body);
  } else if (breach == "IllegalMetadata") {
    headers.push_back(Header("x/y", "no name of gRPC's"));
    nghttp2_submit_response(connection.session, stream.id, headers.data(), headers.size(), &body);
  } else {
    return false;
  }
  return true;
}

void TinyServer::SetServing(bool serving) {
  behaviour_.serving = serving;
  for (const auto& connection : connections_) {
    for (auto& [id, stream] : connection->streams) {
      if (!stream.open_ended) continue;
      stream.response += HealthAnswer();
      nghttp2_session_resume_data(connection->session, id);
    }
  }
}

void TinyServer::OnReadable(int fd, std::function<void()> callback) {
  readable_[fd] = std::move(callback);
}

void TinyServer::Accept() {
  const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) {
    // Out of fds: whoever waits in the queue waits for ever, as with a server that leaks.
    if (errno == EMFILE || errno == ENFILE) listener_ = -1;
    return;
  }
  auto connection = std::make_unique<Connection>();
  connection->server = this;
  connection->fd = fd;
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_send_callback(callbacks, Callbacks::Send);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::BeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::HeaderSeen);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::DataChunk);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::FrameReceived);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::StreamClosed);
  nghttp2_session_server_new(&connection->session, callbacks, connection.get());
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, nullptr, 0);
  connections_.push_back(std::move(connection));
}

void TinyServer::Run() {
  while (true) {
    std::vector<pollfd> polled{{listener_, POLLIN, 0}};
    for (const auto& [fd, callback] : readable_) polled.push_back({fd, POLLIN, 0});
    for (const auto& connection : connections_) {
      const bool writes = connection->wants_to_write();
      polled.push_back({connection->fd, static_cast<short>(writes ? POLLIN | POLLOUT : POLLIN), 0});
    }
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;  // EINTR: the sets are built anew

    auto result = polled.begin() + 1;
    for (const auto& [fd, callback] : readable_) {
      if ((result++)->revents != 0) callback();
    }
    for (auto it = connections_.begin(); it != connections_.end();) {
      const short events = (result++)->revents;
      Connection& connection = **it;
      bool alive = true;
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        std::array<uint8_t, 16384> buffer;
        const ssize_t size = ::recv(connection.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        alive = size > 0 && nghttp2_session_mem_recv(connection.session, buffer.data(),
                                                     static_cast<size_t>(size)) >= 0;
      }
      alive = alive && nghttp2_session_send(connection.session) == 0 && connection.WriteRaw();
      it = alive ? std::next(it) : connections_.erase(it);
    }
    if ((polled.front().revents & POLLIN) != 0) Accept();
  }
}

}  // namespace plugind::faults
