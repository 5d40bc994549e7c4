#include "daemon/gateway/testing/http2_peer.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace plugind::gateway::testing {
namespace {

std::vector<nghttp2_nv> List(const Fields& fields) {
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields) {
    // nghttp2 copies both; its struct merely lacks the const.
    list.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                    reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                    value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return list;
}

std::string Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

std::string Find(const Fields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return "";
}

std::string PeerStream::Field(std::string_view name) const {
  const std::string value = Find(trailers, name);
  return value.empty() ? Find(headers, name) : value;
}

struct PeerCallbacks {
  static Http2Peer& Of(void* user) { return *static_cast<Http2Peer*>(user); }
  static PeerStream& Stream(void* user, int32_t id) {
    auto& stream = Of(user).streams_[id];
    if (stream == nullptr) {
      stream = std::make_unique<PeerStream>();
      stream->id = id;
    }
    return *stream;
  }

  static int Header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                    size_t namelen, const uint8_t* value, size_t valuelen, uint8_t, void* user) {
    PeerStream& stream = Stream(user, frame->hd.stream_id);
    (stream.answered ? stream.trailers : stream.headers)
        .emplace_back(Text(name, namelen), Text(value, valuelen));
    return 0;
  }

  static int FrameReceived(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) Of(user).goaway_ = frame->goaway.error_code;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    PeerStream& stream = Stream(user, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS && !stream.answered) {
      stream.answered = true;
      if (Of(user).on_headers) Of(user).on_headers(stream);
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      stream.ended = true;
      if (Of(user).on_request) Of(user).on_request(stream);
    }
    return 0;
  }

  static int Data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                  void* user) {
    PeerStream& stream = Stream(user, id);
    stream.body.append(reinterpret_cast<const char*>(data), size);
    if (Of(user).consumes_) Of(user).Consume(stream, size);
    return 0;
  }

  static int StreamClosed(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    Stream(user, id).closed = error;
    return 0;
  }

  static ssize_t Body(nghttp2_session* session, int32_t id, uint8_t* buffer, size_t room,
                      uint32_t* flags, nghttp2_data_source*, void* user) {
    PeerStream& stream = Stream(user, id);
    const size_t size = std::min(room, stream.waiting());
    std::copy_n(stream.out.data() + stream.out_at, size, buffer);
    stream.out_at += size;
    if (stream.waiting() > 0 || (size > 0 && !stream.out_ends)) return static_cast<ssize_t>(size);
    if (!stream.out_ends) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!stream.out_trailers.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const std::vector<nghttp2_nv> list = List(stream.out_trailers);
      nghttp2_submit_trailer(session, id, list.data(), list.size());
    }
    return static_cast<ssize_t>(size);
  }
};

Http2Peer::Http2Peer(UniqueFd fd, Role role, Options options)
    : fd_(std::move(fd)), consumes_(options.consumes) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, PeerCallbacks::Header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, PeerCallbacks::FrameReceived);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, PeerCallbacks::Data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, PeerCallbacks::StreamClosed);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_no_auto_window_update(option, 1);
  // It is for the gateway to mind what it is sent.
  nghttp2_option_set_no_http_messaging(option, 1);
  nghttp2_option_set_max_send_header_block_length(option, size_t{4} * 1024 * 1024);
  if (role == Role::kPlugin) {
    nghttp2_session_server_new2(&session_, callbacks, this, option);
  } else {
    nghttp2_session_client_new2(&session_, callbacks, this, option);
  }
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, options.settings.data(),
                          options.settings.size());
}

Http2Peer::~Http2Peer() { nghttp2_session_del(session_); }

bool Http2Peer::Pump() {
  if (!fd_.valid()) return false;
  bool moved = false;
  for (std::array<char, 65536> buffer; reads && fd_.valid();) {
    const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) break;
    moved = true;
    if (size <= 0) {
      fd_.reset();
      return true;
    }
    received_ += static_cast<uint64_t>(size);
    nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(buffer.data()),
                             static_cast<size_t>(size));
  }
  while (pending_.size() < 65536) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size <= 0) break;
    pending_.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
  if (!pending_.empty()) {
    const ssize_t sent =
        ::send(fd_.get(), pending_.data(), pending_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      pending_.erase(0, static_cast<size_t>(sent));
      moved = true;
    }
  }
  return moved;
}

PeerStream& Http2Peer::Call(std::string_view path, const Fields& more) {
  Fields headers = {{":method", "POST"},          {":scheme", "http"},
                    {":path", std::string(path)}, {":authority", "localhost"},
                    {"te", "trailers"},           {"content-type", "application/grpc"}};
  headers.insert(headers.end(), more.begin(), more.end());
  return Request(headers);
}

PeerStream& Http2Peer::Request(const Fields& headers, bool end) {
  const std::vector<nghttp2_nv> list = List(headers);
  nghttp2_data_provider body{};
  body.read_callback = PeerCallbacks::Body;
  const int32_t id = nghttp2_submit_request(session_, nullptr, list.data(), list.size(),
                                            end ? nullptr : &body, nullptr);
  return PeerCallbacks::Stream(this, id);
}

void Http2Peer::Respond(PeerStream& stream, const Fields& headers, bool end) {
  const std::vector<nghttp2_nv> list = List(headers);
  nghttp2_data_provider body{};
  body.read_callback = PeerCallbacks::Body;
  nghttp2_submit_response(session_, stream.id, list.data(), list.size(), end ? nullptr : &body);
}

void Http2Peer::Send(PeerStream& stream, std::string_view bytes) {
  stream.out += bytes;
  nghttp2_session_resume_data(session_, stream.id);
}

void Http2Peer::End(PeerStream& stream, const Fields& trailers) {
  stream.out_ends = true;
  stream.out_trailers = trailers;
  nghttp2_session_resume_data(session_, stream.id);
}

void Http2Peer::Reset(PeerStream& stream, uint32_t code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, code);
}

void Http2Peer::Consume(PeerStream& stream, size_t bytes) {
  nghttp2_session_consume(session_, stream.id, bytes);
}

void Http2Peer::Raw(std::string_view bytes) { pending_ += bytes; }

std::string Frame(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  std::string out;
  for (const int shift : {16, 8, 0}) out.push_back(static_cast<char>(size >> shift));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(stream >> shift));
  return out.append(payload);
}

std::string Message(std::string_view payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  std::string out(1, '\0');
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(size >> shift));
  return out.append(payload);
}

}  // namespace plugind::gateway::testing
