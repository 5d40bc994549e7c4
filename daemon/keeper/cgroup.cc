#include "daemon/keeper/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

#include "daemon/keeper/proc.h"

namespace plugind::keeper {
namespace {

constexpr char kPrefix[] = "plugind-";
constexpr int kStaleKillMs = 1000;

std::string Join(std::string_view directory, std::string_view name) {
  return std::string(directory).append("/").append(name);
}

UniqueFd OpenDirectory(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool Write(const std::string& path, std::string_view text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.valid() && ::write(file.get(), text.data(), text.size()) >= 0;
}

// Innermost first: a plugin may have made cgroups of its own below.
void RemoveDirectories(const std::string& path) {
  if (::rmdir(path.c_str()) == 0) return;
  for (const std::string& name : ListDirectories(path)) RemoveDirectories(Join(path, name));
  ::rmdir(path.c_str());
}

// Where this process's own cgroup v2 directory is; empty when none is mounted. In a hybrid set-up
// v2 is mounted beside v1 (/sys/fs/cgroup/unified), so the mount is looked up and not assumed.
std::string OwnDirectory() {
  std::string own;
  ForEachLine(ReadWhole("/proc/self/cgroup"), [&](std::string_view line) {
    if (line.starts_with("0::/")) own = line.substr(3);
  });
  if (own.empty()) return "";
  std::string directory;
  ForEachLine(ReadWhole("/proc/self/mountinfo"), [&](std::string_view line) {
    const size_t dash = line.find(" - cgroup2 ");
    if (dash == line.npos || !directory.empty()) return;
    std::vector<std::string_view> words;  // id, parent, device, root, mount point, …
    for (size_t at = 0; at < dash;) {
      const size_t end = std::min(line.find(' ', at), dash);
      words.push_back(line.substr(at, end - at));
      at = end + 1;
    }
    // A mount point with a space is written as \040; nobody mounts it so.
    if (words.size() < 5 || words[4].find('\\') != std::string_view::npos) return;
    std::string_view rest = own;
    if (words[3] != "/") {
      if (!rest.starts_with(words[3])) return;  // this mount shows another part of the tree
      rest.remove_prefix(words[3].size());
    }
    directory = std::string(words[4]).append(rest);
  });
  while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  return directory;
}

void RemoveStale(const std::string& own) {
  for (const std::string& name : ListDirectories(own)) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string path = Join(own, name);
    const UniqueFd directory = OpenDirectory(path);
    if (!directory.valid() || ::flock(directory.get(), LOCK_EX | LOCK_NB) < 0) continue;
    Write(path + "/cgroup.kill", "1");
    const UniqueFd events(::open((path + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
    if (events.valid() && Cgroup::IsPopulated(events)) {
      pollfd changed{events.get(), POLLPRI, 0};
      ::poll(&changed, 1, kStaleKillMs);
    }
    RemoveDirectories(path);
  }
}

}  // namespace

Cgroup::Cgroup(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

std::unique_ptr<Cgroup> Cgroup::Create() {
  const std::string own = OwnDirectory();
  // Moving a process needs write access to this one file above both places.
  if (own.empty() || ::access((own + "/cgroup.procs").c_str(), W_OK) < 0) return nullptr;
  RemoveStale(own);
  const std::string first = own + "/" + kPrefix + std::to_string(::getpid());
  // The name may be taken: by a keeper of another PID namespace, where it is pid 1 too. And between
  // mkdir and flock, another keeper that starts may take it for stale and remove it.
  constexpr int kAttempts = 16;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string path = attempt == 0 ? first : first + "-" + std::to_string(attempt);
    if (::mkdir(path.c_str(), 0755) < 0) {
      if (errno == EEXIST) continue;
      return nullptr;
    }
    UniqueFd lock = OpenDirectory(path);
    if (lock.valid() && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0 &&
        ::access((path + "/cgroup.kill").c_str(), W_OK) == 0) {
      std::unique_ptr<Cgroup> cgroup(new Cgroup(path, std::move(lock)));
      // Best effort: with it, memory.events tells of out-of-memory kills.
      cgroup->counts_memory_ = Write(path + "/cgroup.subtree_control", "+memory");
      return cgroup;
    }
    ::rmdir(path.c_str());
  }
  return nullptr;
}

Cgroup::~Cgroup() { RemoveDirectories(path_); }

std::string Cgroup::TreePath(std::string_view id) const { return Join(path_, id); }

UniqueFd Cgroup::MakeTree(std::string_view id) const {
  const std::string path = TreePath(id);
  if (::mkdir(path.c_str(), 0755) < 0) return UniqueFd();
  return OpenDirectory(path);
}

void Cgroup::KillTree(std::string_view id) const { Write(TreePath(id) + "/cgroup.kill", "1"); }
void Cgroup::KillAll() const { Write(path_ + "/cgroup.kill", "1"); }

UniqueFd Cgroup::OpenEvents(std::string_view id) const {
  return UniqueFd(::open((TreePath(id) + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
}

bool Cgroup::IsPopulated(const UniqueFd& events) {
  char text[128];
  const ssize_t size = ::pread(events.get(), text, sizeof text, 0);
  return size > 0 && std::string_view(text, static_cast<size_t>(size)).find("populated 1") !=
                         std::string_view::npos;
}

std::vector<int> Cgroup::Pids(std::string_view id) const {
  std::vector<int> pids;
  const std::string path = TreePath(id);
  ForEachLine(ReadWhole((path + "/cgroup.procs").c_str()), [&](std::string_view line) {
    int pid = 0;
    std::from_chars(line.data(), line.data() + line.size(), pid);
    if (pid > 0) pids.push_back(pid);
  });
  return pids;
}

bool Cgroup::HasOomKill(std::string_view id) const {
  if (!counts_memory_) return false;
  bool found = false;
  ForEachLine(ReadWhole((TreePath(id) + "/memory.events").c_str()), [&](std::string_view line) {
    if (line.starts_with("oom_kill ") && line != "oom_kill 0") found = true;
  });
  return found;
}

void Cgroup::RemoveTree(std::string_view id) const { RemoveDirectories(TreePath(id)); }

}  // namespace plugind::keeper
