#include "daemon/rpc/tcp_listener.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/process_tree.h"

namespace plugind::rpc {
namespace {

// As the kernel's tables write addresses: words of four bytes, each as the machine holds it.
constexpr std::string_view kLoopback4 = "0100007F";
constexpr std::string_view kAny4 = "00000000";
constexpr std::string_view kLoopback6 = "00000000000000000000000001000000";
constexpr std::string_view kAny6 = "00000000000000000000000000000000";
constexpr std::string_view kMapped4 = "0000000000000000FFFF00000100007F";
constexpr std::string_view kListening = "0A";

struct Listener {
  std::string inode;
  uid_t uid = 0;
};

template <typename Number>
Number Parse(std::string_view text, int base = 10) {
  Number value{};
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) return words;
    const size_t end = std::min(line.find(' ', begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    line.remove_prefix(end);
  }
}

// The listeners of one table at `address`. They stand before all other sockets.
void Collect(const char* table, std::string_view address, uint16_t port,
             std::vector<Listener>* found) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);  // the heading
  while (std::getline(file, line)) {
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
    const auto words = Words(line);
    if (words.size() < 10 || words[3] != kListening) return;
    const std::string_view local = words[1];
    const size_t colon = local.find(':');
    if (colon == std::string_view::npos || local.substr(0, colon) != address) continue;
    if (Parse<uint16_t>(local.substr(colon + 1), 16) != port) continue;
    found->push_back({std::string(words[9]), Parse<uid_t>(words[7])});
  }
}

// Those that a connection to `at` could reach: the kernel prefers who listens at this very address.
std::vector<Listener> ListenersAt(const LoopbackPort& at) {
  std::vector<Listener> found;
  if (at.six) {
    Collect("/proc/net/tcp6", kLoopback6, at.port, &found);
  } else {
    Collect("/proc/net/tcp", kLoopback4, at.port, &found);
    Collect("/proc/net/tcp6", kMapped4, at.port, &found);
  }
  if (!found.empty()) return found;
  if (!at.six) Collect("/proc/net/tcp", kAny4, at.port, &found);
  Collect("/proc/net/tcp6", kAny6, at.port, &found);
  return found;
}

using Directory = std::unique_ptr<DIR, decltype([](DIR* directory) { ::closedir(directory); })>;

enum class Sight : uint8_t {
  kHeld,
  kNotHeld,
  kHidden
};

Sight LookAmongFds(int pid, const std::string& inode) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  const Directory fds(::opendir(path.c_str()));
  if (fds == nullptr) return errno == EACCES || errno == EPERM ? Sight::kHidden : Sight::kNotHeld;
  const std::string wanted = "socket:[" + inode + "]";
  while (const dirent* entry = ::readdir(fds.get())) {
    std::array<char, 64> target{};
    const ssize_t size =
        ::readlinkat(::dirfd(fds.get()), entry->d_name, target.data(), target.size());
    if (size > 0 && std::string_view(target.data(), static_cast<size_t>(size)) == wanted) {
      return Sight::kHeld;
    }
  }
  return Sight::kNotHeld;
}

bool IsOf(int pid, uid_t uid) {
  struct stat status {};
  return ::stat(("/proc/" + std::to_string(pid)).c_str(), &status) == 0 && status.st_uid == uid;
}

bool BelongsTo(const Listener& listener, int main_pid) {
  const auto holds = [&](int pid) {
    switch (LookAmongFds(pid, listener.inode)) {
      case Sight::kHeld:
        return true;
      case Sight::kHidden:
        return IsOf(pid, listener.uid);
      case Sight::kNotHeld:
        return false;
    }
    return false;
  };
  // Nearly always the main process itself.
  if (holds(main_pid)) return true;
  const Directory processes(::opendir("/proc"));
  if (processes == nullptr) return false;
  while (const dirent* entry = ::readdir(processes.get())) {
    const int pid = Parse<int>(entry->d_name);
    if (pid > 0 && pid != main_pid && IsPartOf(pid, main_pid) && holds(pid)) return true;
  }
  return false;
}

}  // namespace

absl::Status CheckListener(const LoopbackPort& at, int main_pid) {
  const std::vector<Listener> listeners = ListenersAt(at);
  const char* const host = at.six ? "[::1]" : "127.0.0.1";
  if (listeners.empty()) {
    return Error(absl::StatusCode::kUnavailable, "nobody listens at {}:{} any more", host, at.port);
  }
  for (const Listener& listener : listeners) {
    if (!BelongsTo(listener, main_pid)) {
      return Error(
          absl::StatusCode::kFailedPrecondition,
          "the process that listens at {}:{} (a user with uid {}) is none of this plugin's", host,
          at.port, listener.uid);
    }
  }
  return absl::OkStatus();
}

}  // namespace plugind::rpc
