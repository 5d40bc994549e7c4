// The floor under "death → seen": a parent that does nothing but wait for pidfds, say when one of
// them told of a death, and start that process again. What it needs, the kernel needs: the end of
// the process and the wake-up of whoever waits for it.
//
// bench_pidfd_waiter FIXTURE NAME…: one process for each name, until SIGTERM. Reports "seen" to
// BENCH_SOCKET as tiny_plugin does. Single-threaded; its children die with it.
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

[[noreturn]] void Die(const char* what) {
  perror(what);
  exit(1);
}

int64_t Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Child {
  std::string name;
  pid_t pid = 0;
  int pidfd = -1;
};

void Start(const char* fixture, Child& child) {
  const pid_t parent = getpid();
  child.pid = fork();
  if (child.pid < 0) Die("fork");
  if (child.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    setenv("BENCH_NAME", child.name.c_str(), 1);
    execl(fixture, fixture, nullptr);
    _exit(127);
  }
  child.pidfd = static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0));
  if (child.pidfd < 0) Die("pidfd_open");
}

}  // namespace

int main(int count, char** arguments) {
  const char* path = getenv("BENCH_SOCKET");
  const char* system = getenv("BENCH_SYSTEM");
  if (count < 3 || path == nullptr || system == nullptr) {
    fputs("usage: BENCH_SOCKET=… BENCH_SYSTEM=… bench_pidfd_waiter FIXTURE NAME…\n", stderr);
    return 2;
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address.sun_path) Die(path);
  memcpy(address.sun_path, path, strlen(path));
  const int harness = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (harness < 0 || epoll < 0) Die("socket or epoll");

  std::vector<Child> children(static_cast<size_t>(count) - 2);
  const auto start = [&](size_t i) {
    Start(arguments[1], children[i]);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, children[i].pidfd, &event) < 0) Die("epoll_ctl");
  };
  for (size_t i = 0; i < children.size(); ++i) {
    children[i].name = arguments[i + 2];
    start(i);
  }
  while (true) {
    std::array<epoll_event, 16> events{};
    const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    const int64_t at = Now();
    for (int i = 0; i < ready; ++i) {
      const size_t index = events[static_cast<size_t>(i)].data.u64;
      Child& child = children[index];
      waitpid(child.pid, nullptr, 0);
      close(child.pidfd);
      const std::string text = std::string(system) + " seen " + child.name + " " +
                               std::to_string(child.pid) + " " + std::to_string(at);
      start(index);
      sendto(harness, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address),
             sizeof address);
    }
  }
}
