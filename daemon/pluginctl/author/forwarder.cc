#include "daemon/pluginctl/author/forwarder.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/base/status.h"

namespace plugind::pluginctl {
namespace {

bool Fill(sockaddr_un* address, const std::string& path) {
  *address = {};
  address->sun_family = AF_UNIX;
  if (path.size() >= sizeof(address->sun_path)) {
    errno = ENAMETOOLONG;
    return false;
  }
  std::memcpy(address->sun_path, path.data(), path.size());
  return true;
}

}  // namespace

UniqueFd ConnectTo(const std::string& path) {
  sockaddr_un address{};
  if (!Fill(&address, path)) return UniqueFd();
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return UniqueFd();
  return fd;
}

Forwarder::~Forwarder() {
  if (listener_.valid()) loop_.Unwatch(listener_.get());
}

void Forwarder::SpeakTls(tls::ClientPtr client, std::function<void(const std::string&)> trouble) {
  tls_ = std::move(client);
  trouble_ = std::move(trouble);
}

absl::Status Forwarder::Start(const std::string& path, const std::string& target) {
  target_ = target;
  sockaddr_un address{};
  if (!Fill(&address, path)) return ErrnoError(errno, "cannot listen at " + path);
  unlink(path.c_str());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // Before listen(): until then nobody can connect.
  if (!fd.valid() || bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || listen(fd.get(), SOMAXCONN) != 0)
    return ErrnoError(errno, "cannot listen at " + path);
  listener_ = std::move(fd);
  loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
  return absl::OkStatus();
}

void Forwarder::Accept() {
  UniqueFd near(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!near.valid()) return;
  UniqueFd far = ConnectTo(target_);
  if (!far.valid()) return;  // hangs up, which the caller sees
  const auto at = bridges_.emplace(bridges_.end());
  *at = std::make_unique<Bridge>(loop_, std::move(near), std::move(far), tls_,
                                 [this, at](const std::string& trouble) {
                                   bridges_.erase(at);
                                   if (!trouble.empty()) trouble_(trouble);
                                 });
}

}  // namespace plugind::pluginctl
