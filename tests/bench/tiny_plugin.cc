// The process that the benchmarks start, kill and wait for, small enough for hundreds at once and
// linked statically, so that its own start-up is next to nothing. Started by a go-plugin host or by
// plugind it is a plugin at the contract's floor: it prints the handshake and answers
// grpc.health.v1 over nghttp2. Started by anything else it merely waits.
//
// It tells the harness when it came to life by datagrams "SYSTEM KIND NAME PID NANOSECONDS"
// (CLOCK_MONOTONIC) to the socket in BENCH_SOCKET; KIND is `main` for its first instruction and
// `handshake` for the moment before it says that it is ready. Single-threaded.
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

int64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Runs before the C++ runtime and every other initialiser: as near to exec as a program can see.
int64_t first_instruction = 0;
void Stamp() { first_instruction = Now(); }
__attribute__((section(".preinit_array"), used)) void (*const stamp)() = Stamp;

std::string Environment(const char* key, std::string fallback = {}) {
  const char* value = getenv(key);
  return value != nullptr && *value != '\0' ? std::string(value) : fallback;
}

[[noreturn]] void Die(const char* what) {
  perror(what);
  exit(1);
}

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    Die(path.c_str());
  }
  memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

// The supervisors name their processes each in its own way: by a variable, or (runit, s6) by the
// working directory.
std::string Name() {
  for (const char* key : {"BENCH_NAME", "PLUGIND_NAME", "SUPERVISOR_PROCESS_NAME"}) {
    if (std::string name = Environment(key); !name.empty()) return name;
  }
  std::unique_ptr<char, decltype(&free)> directory(getcwd(nullptr, 0), &free);
  std::string_view path = directory ? directory.get() : "?";
  return std::string(path.substr(path.rfind('/') + 1));
}

// One datagram to the harness. Without a harness (it has ended, or a person runs this by hand)
// there is nobody to tell.
void Report(const char* kind, int64_t at) {
  const std::string socket_path = Environment("BENCH_SOCKET");
  if (socket_path.empty()) return;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Die("socket");
  const std::string text = Environment("BENCH_SYSTEM", "-") + " " + kind + " " + Name() + " " +
                           std::to_string(getpid()) + " " + std::to_string(at);
  const sockaddr_un address = Address(socket_path);
  sendto(fd, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address),
         sizeof address);
  close(fd);
}

nghttp2_nv Header(const char* name, const char* value) {
  auto bytes = [](const char* text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text));  // nghttp2 copies, and never writes
  };
  return {bytes(name), bytes(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

// HealthCheckResponse{status: SERVING} with gRPC's five bytes of framing before it.
constexpr char kServing[] = {0, 0, 0, 0, 2, 0x08, 0x01};

// One HTTP/2 connection, from accept to its end. Owned by the map in Serve().
class Connection {
 public:
  // `watch`: whether Health.Watch is served; otherwise it is UNIMPLEMENTED and the host must use
  // Check.
  Connection(int fd, bool watch) : fd_(fd), watch_(watch) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~Connection() {
    nghttp2_session_del(session_);
    close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Both return false when the connection is over.
  bool Receive() {
    uint8_t buffer[4096];
    const ssize_t size = read(fd_, buffer, sizeof buffer);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    return size > 0 && nghttp2_session_mem_recv(session_, buffer, static_cast<size_t>(size)) >= 0;
  }
  // The socket's buffer holds far more than all answers that a health check can ask for: a full one
  // ends the connection.
  bool Send() {
    const uint8_t* data = nullptr;
    ssize_t size = 0;
    while ((size = nghttp2_session_mem_send(session_, &data)) > 0) {
      if (send(fd_, data, static_cast<size_t>(size), MSG_NOSIGNAL) != size) return false;
    }
    return size == 0 &&
           (nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0);
  }

 private:
  static Connection& Self(void* pointer) { return *static_cast<Connection*>(pointer); }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                      void* self) {
    if (std::string_view(reinterpret_cast<const char*>(name), name_size) == ":path") {
      Self(self).paths_[frame->hd.stream_id].assign(reinterpret_cast<const char*>(value),
                                                    value_size);
    }
    return 0;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    const bool request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (request && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      Self(self).Answer(frame->hd.stream_id);
    }
    return 0;
  }

  static int OnClose(nghttp2_session*, int32_t stream, uint32_t, void* self) {
    Self(self).paths_.erase(stream);
    return 0;
  }

  static ssize_t Once(nghttp2_session* session, int32_t stream, uint8_t* buffer, size_t,
                      uint32_t* flags, nghttp2_data_source*, void*) {
    memcpy(buffer, kServing, sizeof kServing);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const nghttp2_nv trailer = Header("grpc-status", "0");
    nghttp2_submit_trailer(session, stream, &trailer, 1);
    return sizeof kServing;
  }

  // The first message, and then silence: this plugin's health never changes.
  static ssize_t First(nghttp2_session*, int32_t, uint8_t* buffer, size_t, uint32_t*,
                       nghttp2_data_source* sent, void*) {
    if (sent->fd != 0) return NGHTTP2_ERR_DEFERRED;
    sent->fd = 1;
    memcpy(buffer, kServing, sizeof kServing);
    return sizeof kServing;
  }

  void Answer(int32_t stream) {
    const std::string& path = paths_[stream];
    if (path == "/plugin.GRPCController/Shutdown") _exit(0);
    const nghttp2_nv headers[] = {Header(":status", "200"),
                                  Header("content-type", "application/grpc"),
                                  Header("grpc-status", "12")};
    nghttp2_data_provider body{};
    if (path == "/grpc.health.v1.Health/Check") {
      body.read_callback = Once;
    } else if (path == "/grpc.health.v1.Health/Watch" && watch_) {
      body.read_callback = First;
    } else {
      nghttp2_submit_response(session_, stream, headers, 3, nullptr);
      return;
    }
    nghttp2_submit_response(session_, stream, headers, 2, &body);
  }

  const int fd_;
  const bool watch_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, std::string> paths_;  // by stream
};

int Listen(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_un address = Address(path);
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      listen(fd, 16) < 0) {
    Die(path.c_str());
  }
  return fd;
}

[[noreturn]] void Serve(int listener, bool watch) {
  std::map<int, std::unique_ptr<Connection>> connections;
  std::vector<pollfd> polled;
  while (true) {
    polled.assign(1, {listener, POLLIN, 0});
    for (const auto& entry : connections) polled.push_back({entry.first, POLLIN, 0});
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) Die("poll");
    for (const pollfd& ready : polled) {
      if (ready.revents == 0) continue;
      if (ready.fd == listener) {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) continue;
        const auto added = connections.emplace(fd, std::make_unique<Connection>(fd, watch)).first;
        if (!added->second->Send()) connections.erase(added);
      } else if (Connection& connection = *connections.at(ready.fd);
                 !connection.Receive() || !connection.Send()) {
        connections.erase(ready.fd);
      }
    }
  }
}

}  // namespace

int main() {
  Report("main", first_instruction);
  if (Environment("PLUGIN_PROTOCOL_VERSIONS").empty()) {
    // s6 alone among the plain supervisors knows readiness: a newline on an fd of its choice.
    if (const std::string fd = Environment("BENCH_NOTIFY_FD"); !fd.empty()) {
      const int64_t at = Now();
      if (write(atoi(fd.c_str()), "\n", 1) != 1) Die("notification fd");
      Report("handshake", at);
    }
    while (true) pause();
  }
  const std::string directory =
      Environment("PLUGIN_UNIX_SOCKET_DIR", Environment("TMPDIR", "/tmp"));
  const std::string path = directory + "/p" + std::to_string(getpid());
  const int listener = Listen(path);
  const std::string line = "1|1|unix|" + path + "|grpc\n";
  const int64_t at = Now();
  if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    Die("stdout");
  }
  Report("handshake", at);
  Serve(listener, Environment("BENCH_WATCH", "1") == "1");
}
