#include "daemon/pluginctl/author/attach_relay.h"

#include <absl/status/statusor.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>

#include "daemon/base/event_loop.h"
#include "daemon/base/status.h"
#include "daemon/pluginctl/author/forwarder.h"
#include "daemon/pluginctl/author/text_file.h"
#include "daemon/pluginctl/author/wake_on_signal.h"
#include "daemon/pluginctl/error.h"
#include "daemon/tls/client.h"

extern char** environ;

namespace plugind::pluginctl {
namespace {

namespace fs = std::filesystem;

// A socket that was bound and does not listen yet, or that was left behind.
constexpr auto kRetry = std::chrono::milliseconds(50);

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The author's shell has these of its own.
bool IsOfTheShell(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {"PATH", "HOME",   "LANG",
                                                      "TZ",   "TMPDIR", "PWD"};
  return std::ranges::find(kNames, name) != kNames.end();
}

uint64_t Highest(const std::string& versions) {
  uint64_t highest = 1;
  std::istringstream each(versions);
  for (std::string text; std::getline(each, text, ',');)
    highest = std::max<uint64_t>(highest, std::strtoull(text.c_str(), nullptr, 10));
  return highest;
}

// The host's half of AutoMTLS, made when it is first asked for. The folder is nobody else's.
absl::StatusOr<tls::Identity> IdentityIn(const std::string& folder) {
  const std::string certificate = folder + "/client.crt";
  const std::string key = folder + "/client.key";
  if (std::error_code error; !fs::exists(certificate, error)) {
    std::string why;
    const auto made = tls::MakeIdentity(SystemClock().WallNow(), &why);
    if (!made) return absl::UnavailableError(why);
    RETURN_IF_ERROR(WriteFile(key, made->key));
    RETURN_IF_ERROR(WriteFile(certificate, made->certificate));
  }
  tls::Identity identity;
  ASSIGN_OR_RETURN(identity.certificate, ReadFile(certificate));
  ASSIGN_OR_RETURN(identity.key, ReadFile(key));
  return identity;
}

class Relay {
 public:
  explicit Relay(const AttachOptions& options)
      : auto_mtls_(options.auto_mtls),
        folder_(options.folder),
        sockets_(options.folder + "/s"),
        version_(Highest(Variable("PLUGIN_PROTOCOL_VERSIONS"))),
        loop_(clock_),
        signals_(loop_, [this] { OnTerminate(); }),
        retry_(loop_.timers()),
        to_host_(loop_),
        to_plugin_(loop_) {}
  ~Relay() {
    if (inotify_.valid()) loop_.Unwatch(inotify_.get());
    if (pidfd_.valid()) loop_.Unwatch(pidfd_.get());
  }

  absl::Status Run() {
    std::error_code error;
    fs::create_directories(sockets_, error);
    if (error) return ErrnoError(error.value(), "cannot make " + sockets_);
    RETURN_IF_ERROR(OpenHostDoor());
    if (auto_mtls_) RETURN_IF_ERROR(PrepareTls());
    inotify_.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!inotify_.valid() ||
        inotify_add_watch(inotify_.get(), sockets_.c_str(), IN_CREATE | IN_MOVED_TO) < 0)
      return ErrnoError(errno, "cannot watch " + sockets_);
    loop_.Watch(inotify_.get(), EPOLLIN, [this](uint32_t) {
      std::array<char, 4096> events;
      while (read(inotify_.get(), events.data(), events.size()) > 0) {
      }
      Look();
    });
    RETURN_IF_ERROR(WriteEnvironment());
    fmt::print(stderr, "waiting for the plugin to be started by hand\n");
    Look();
    loop_.Run();
    return result_;
  }

 private:
  absl::Status OpenHostDoor() {
    std::string host = Variable("PLUGIND_HOST_ADDRESS");
    constexpr std::string_view kScheme = "unix:";
    if (host.starts_with(kScheme)) host.erase(0, kScheme.size());
    return to_host_.Start(folder_ + "/h.sock", host);
  }

  absl::Status PrepareTls() {
    ASSIGN_OR_RETURN(const tls::Identity identity, IdentityIn(folder_));
    std::string error;
    tls::ClientPtr client = tls::Client::MakeForAnyPeer(identity, &error);
    if (client == nullptr) return absl::UnavailableError(error);
    certificate_ = identity.certificate;
    to_plugin_.SpeakTls(std::move(client), [this](const std::string& trouble) {
      // plugind tries again and again.
      if (std::exchange(trouble_, trouble) == trouble) return;
      fmt::print(
          stderr,
          "{}; auto_mtls is set: was it started with the environment that is shown, and does "
          "it do AutoMTLS?\n",
          trouble);
    });
    return absl::OkStatus();
  }

  absl::Status WriteEnvironment() {
    const std::string path = folder_ + '/' + kAttachEnvironment;
    std::ofstream file(path + ".new");
    for (char** each = environ; *each != nullptr; ++each) {
      const std::string_view entry(*each);
      const std::string name(entry.substr(0, entry.find('=')));
      if (IsOfTheShell(name)) continue;
      std::string value = Variable(name.c_str());
      // One version, because it is not read which of several the plugin chooses.
      if (name == "PLUGIN_PROTOCOL_VERSIONS") value = std::to_string(version_);
      if (name == "PLUGIN_UNIX_SOCKET_DIR") value = sockets_;
      if (name == "PLUGIND_HOST_ADDRESS") value = "unix:" + folder_ + "/h.sock";
      file << ExportLine(name, value) << '\n';
    }
    if (!certificate_.empty()) file << ExportLine("PLUGIN_CLIENT_CERT", certificate_) << '\n';
    file.close();
    if (!file || rename((path + ".new").c_str(), path.c_str()) != 0)
      return ErrnoError(errno, "cannot write " + path);
    return absl::OkStatus();
  }

  // For a socket that somebody listens at.
  void Look() {
    if (pidfd_.valid()) return;
    bool again = false;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(sockets_, error)) {
      if (!entry.is_socket(error)) continue;
      const UniqueFd probe = ConnectTo(entry.path().string());
      if (probe.valid()) return Take(entry.path().string(), probe.get());
      // Twice refused: left behind by the run before.
      if (!refused_.insert(entry.path().string()).second) fs::remove(entry.path(), error);
      again = true;
    }
    if (again) retry_.Set(clock_.Now() + kRetry, [this] { Look(); });
  }

  void Take(const std::string& path, int connection) {
    ucred peer{};
    socklen_t size = sizeof(peer);
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
      pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0)));
    if (!pidfd_.valid()) return End(ErrnoError(errno, "cannot tell whose socket is " + path));
    loop_.Watch(pidfd_.get(), EPOLLIN, [this, path, pid = peer.pid](uint32_t) {
      // Where it was killed; the next one wants the place.
      std::error_code error;
      fs::remove(path, error);
      fmt::print(stderr, "the plugin (pid {}) has ended\n", pid);
      End(absl::OkStatus());
    });
    const std::string own = Variable("PLUGIN_UNIX_SOCKET_DIR") + "/p.sock";
    if (const absl::Status started = to_plugin_.Start(own, path); !started.ok())
      return End(started);
    fmt::print("1|{}|unix|{}|grpc\n", version_, own);
    std::fflush(stdout);
  }

  // What ends a plugin that is not asked by a call, or does not answer, is for it and not for us:
  // we end when it does. One that stands at a breakpoint learns of it afterwards.
  void OnTerminate() {
    if (!pidfd_.valid()) return End(absl::OkStatus());
    syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGTERM, nullptr, 0);
  }

  void End(absl::Status result) {
    result_ = std::move(result);
    loop_.Stop();
  }

  const bool auto_mtls_;
  const std::string folder_;
  const std::string sockets_;  // where the plugin listens
  const uint64_t version_;
  SystemClock clock_;
  EventLoop loop_;
  WakeOnSignal signals_;
  plugind::Deadline retry_;
  Forwarder to_host_;
  Forwarder to_plugin_;
  UniqueFd inotify_;
  UniqueFd pidfd_;  // the plugin's process
  std::set<std::string> refused_;
  std::string certificate_;  // what the plugin is to take for its host's; empty: no AutoMTLS
  std::string trouble_;      // that was told last
  absl::Status result_;
};

}  // namespace

std::string ExportLine(const std::string& name, const std::string& value) {
  std::string quoted;
  for (const char c : value) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return fmt::format("export {}='{}'", name, quoted);
}

ExitCode RunAttachRelay(const AttachOptions& options) {
  const absl::Status status = Relay(options).Run();
  if (status.ok()) return ExitCode::kDone;
  Complain(std::string(Message(status)));
  return ExitCode::kFailed;
}

}  // namespace plugind::pluginctl
