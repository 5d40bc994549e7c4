#include "daemon/pluginctl/connection.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <thread>

#include "daemon/base/unique_fd.h"

namespace plugind::pluginctl {
namespace {

constexpr std::string_view kScheme = "unix:";

// gRPC takes its target for a URI: a "%" or "?" in the path would be read as something else.
std::string Target(const std::string& path) {
  std::string target(kScheme);
  for (const char c : std::filesystem::absolute(path).string()) {
    const bool plain =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("/._-~", c) != nullptr;
    if (plain) {
      target += c;
    } else {
      fmt::format_to(std::back_inserter(target), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return target;
}

// `largest`: of a message that is received; -1: any.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& socket, int largest) {
  grpc::ChannelArguments arguments;
  // Newer cores send the escaped path as the authority, which strict servers refuse.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  // The defaults would wait up to 20 s and more before the next try.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetMaxReceiveMessageSize(largest);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(Target(socket), grpc::InsecureChannelCredentials(), arguments);
}

bool SameDaemon(const v1::GetDaemonInfoResponse& a, const v1::GetDaemonInfoResponse& b) {
  // A container's keeper always has pid 1; its time of start may be a little off, being computed
  // from the boot's.
  const int64_t apart = a.keeper_started_at().seconds() - b.keeper_started_at().seconds();
  return a.keeper_pid() == b.keeper_pid() && std::abs(apart) <= 2;
}

}  // namespace

std::string ResolveSocket(const std::string& flag) {
  std::string socket = flag;
  if (socket.empty()) {
    if (const char* value = std::getenv("PLUGIND_SOCKET"); value != nullptr) socket = value;
  }
  if (socket.starts_with(kScheme)) {
    socket.erase(0, kScheme.size());
    if (socket.starts_with("///")) socket.erase(0, 2);
  }
  if (!socket.empty()) return socket;
  if (geteuid() == 0) return "/run/plugind/plugind.sock";
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime == '\0')
    return fmt::format("/run/user/{}/plugind/plugind.sock", geteuid());
  return fmt::format("{}/plugind/plugind.sock", runtime);
}

bool IsLost(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:  // never by us: a server that ends its calls
      return status.error_details().empty();
    default:
      return false;
  }
}

Connection::Connection(std::string socket)
    : socket_(std::move(socket)),
      // A list of hundreds of plugins with their stderr tails exceeds the default of 4 MiB.
      stub_(v1::PluginControl::NewStub(MakeChannel(socket_, -1))) {}

std::shared_ptr<grpc::Channel> Connection::OpenChannel(int largest) const {
  return MakeChannel(socket_, largest);
}

grpc::Status Connection::Identify(Deadline deadline, v1::GetDaemonInfoResponse* info,
                                  bool* renewed) {
  v1::GetDaemonInfoResponse now;
  const grpc::Status status =
      Call(&Stub::GetDaemonInfo, v1::GetDaemonInfoRequest(), &now, deadline);
  if (!status.ok()) return status;
  if (renewed != nullptr) *renewed = known_.keeper_pid() != 0 && !SameDaemon(known_, now);
  known_ = now;
  if (info != nullptr) *info = std::move(now);
  return status;
}

int Connection::Probe() const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return 0;
  return errno == EAGAIN ? 0 : errno;  // EAGAIN: its queue is full, so there is one
}

void Connection::Attempt::Prepare(grpc::ClientContext* context) const {
  context->set_deadline(ToGrpc(deadline_));
  context->set_wait_for_ready(connection_.reached_);
}

bool Connection::Attempt::Again(const grpc::Status& status) {
  if (!IsLost(status)) {
    if (status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED) connection_.reached_ = true;
    return false;
  }
  if (!connection_.reached_) {
    if (connection_.Probe() != 0) return false;
    connection_.reached_ = true;
  }
  // A server that accepts and hangs up at once must not make this a busy loop.
  if (deadline_ - std::chrono::steady_clock::now() < pause_) return false;
  std::this_thread::sleep_for(pause_);
  pause_ = std::min<Duration>(2 * pause_, std::chrono::milliseconds(500));
  return true;
}

}  // namespace plugind::pluginctl
