#include "daemon/keeper/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>

#include "daemon/base/unique_fd.h"

namespace plugind::keeper {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::string ProcPath(int pid, const char* rest) {
  return "/proc/" + std::to_string(pid) + "/" + rest;
}

void AppendNumbers(std::string_view text, std::vector<int>* numbers) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error == std::errc()) numbers->push_back(number);
    at = next + 1;
  }
}

// For a kernel built without /proc/PID/task/TID/children.
std::vector<int> ChildrenByScan(int parent) {
  std::vector<int> children;
  for (const std::string& name : ListDirectories("/proc")) {
    int pid = 0;
    std::from_chars(name.data(), name.data() + name.size(), pid);
    if (pid > 0 && StatOf(pid).parent == parent) children.push_back(pid);
  }
  return children;
}

}  // namespace

std::string ReadWhole(const char* path) {
  const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  if (!file.valid()) return text;
  char part[4096];
  ssize_t size = 0;
  while ((size = ::read(file.get(), part, sizeof part)) > 0) {
    text.append(part, static_cast<size_t>(size));
  }
  return text;
}

void ForEachLine(std::string_view text, const std::function<void(std::string_view)>& visit) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::vector<std::string> ListDirectories(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

std::vector<int> ChildrenOf(int pid) {
  static const bool kListed = ::access("/proc/thread-self/children", R_OK) == 0;
  if (!kListed) return ChildrenByScan(pid);
  std::vector<int> children;
  for (const std::string& task : ListDirectories(ProcPath(pid, "task"))) {
    const std::string path = ProcPath(pid, "task/").append(task).append("/children");
    AppendNumbers(ReadWhole(path.c_str()), &children);
  }
  return children;
}

std::vector<Descendant> WithDescendants(const std::vector<int>& children) {
  std::vector<Descendant> all;
  for (const int child : children) all.push_back({child, ::getpid()});
  for (size_t i = 0; i < all.size(); ++i) {
    const int parent = all[i].pid;
    for (const int child : ChildrenOf(parent)) all.push_back({child, parent});
  }
  return all;
}

void KillDescendant(const Descendant& descendant) {
  if (descendant.parent == ::getpid()) {
    ::kill(descendant.pid, SIGKILL);  // not reaped yet: the number is its own
    return;
  }
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, descendant.pid, 0)));
  if (!pidfd.valid()) return;
  const int parent = StatOf(descendant.pid).parent;
  if (parent != descendant.parent && parent != ::getpid()) return;
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

ProcessStat StatOf(int pid) {
  ProcessStat stat;
  const std::string text = ReadWhole(ProcPath(pid, "stat").c_str());
  // PID (NAME) STATE PARENT GROUP SESSION …; the name may hold anything, a parenthesis too.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return stat;
  if (std::sscanf(text.c_str() + name_end + 1, " %c %d %d %d", &stat.state, &stat.parent,
                  &stat.group, &stat.session) != 4) {
    return ProcessStat();
  }
  return stat;
}

bool BearsMarks(int pid, const TreeMarks& marks) {
  const ProcessStat stat = StatOf(pid);
  if (stat.session == marks.main_pid || stat.group == marks.main_pid) return true;

  const std::string variable = std::string("PLUGIND_INSTANCE=").append(marks.id);
  const std::string environment = ReadWhole(ProcPath(pid, "environ").c_str());
  for (std::string_view rest = environment; !rest.empty();) {
    const size_t end = std::min(rest.find('\0'), rest.size());
    if (rest.substr(0, end) == variable) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }

  const std::unique_ptr<DIR, CloseDirectory> fds(::opendir(ProcPath(pid, "fd").c_str()));
  if (fds == nullptr) return false;
  while (const dirent* entry = ::readdir(fds.get())) {
    struct stat target {};
    if (::fstatat(::dirfd(fds.get()), entry->d_name, &target, 0) < 0) continue;
    if (!S_ISFIFO(target.st_mode)) continue;
    if (target.st_ino == marks.pipes[0] || target.st_ino == marks.pipes[1]) return true;
  }
  return false;
}

}  // namespace plugind::keeper
