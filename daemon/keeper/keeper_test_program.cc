// What the keeper's tests have the keeper start, by its first argument:
//   brain       stands in for plugind: hands the test its socket to the keeper,
//               tells the test of each signal, and ends when and as the test says
//   report      prints what a plugin process finds itself with
//   family      makes a child, a grandchild in a session of its own, and an orphan in a session of
//   its own that has shed
//               its environment's and its group's marks; prints "ready", then sleeps
//   sleep       until it is killed
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

#include "daemon/keeper/channel.h"
#include "daemon/keeper/client.h"

namespace {

int RunBrain() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const int signals = signalfd(-1, &set, SFD_CLOEXEC);

  const char* path = std::getenv("KEEPER_TEST_SOCKET");
  const int test = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  if (connect(test, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return 99;
  const std::string pid = std::to_string(getpid());
  if (plugind::keeper::SendPacket(test, pid, {plugind::keeper::kSocketFd}) !=
      plugind::keeper::Sent::kYes) {
    return 98;
  }
  close(plugind::keeper::kSocketFd);
  for (;;) {
    pollfd ready[2] = {{signals, POLLIN, 0}, {test, POLLIN, 0}};
    poll(ready, 2, -1);
    if ((ready[0].revents & POLLIN) != 0) {
      signalfd_siginfo info{};
      if (read(signals, &info, sizeof info) != sizeof info) return 97;
      const std::string text = std::to_string(info.ssi_signo);
      send(test, text.data(), text.size(), MSG_NOSIGNAL);
    }
    if (ready[1].revents != 0) {
      char text[16] = {};
      const ssize_t size = recv(test, text, sizeof text - 1, 0);
      return size <= 0 ? 0 : std::atoi(text);
    }
  }
}

int RunReport(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) std::printf("argv[%d]=%s\n", i, argv[i]);
  for (char** entry = environ; *entry != nullptr; ++entry) std::printf("env:%s\n", *entry);
  char text[4096] = {};
  std::printf("cwd=%s\n", getcwd(text, sizeof text));
  std::printf("leads=%d,%d\n", getsid(0) == getpid(), getpgrp() == getpid());
  std::memset(text, 0, sizeof text);
  (void)!readlink("/proc/self/fd/0", text, sizeof text - 1);
  std::printf("stdin=%s\n", text);
  std::set<int> fds;
  DIR* directory = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(directory)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != dirfd(directory)) fds.insert(fd);
  }
  closedir(directory);
  std::printf("fds=");
  for (const int fd : fds) std::printf("%d ", fd);
  int death_signal = 0;
  prctl(PR_GET_PDEATHSIG, &death_signal);
  std::printf("\nnnp=%d\npdeath=%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), death_signal);
  rlimit files{}, core{};
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_CORE, &core);
  std::printf("nofile=%llu,%llu\ncore=%llu\n", static_cast<unsigned long long>(files.rlim_cur),
              static_cast<unsigned long long>(files.rlim_max),
              static_cast<unsigned long long>(core.rlim_max));
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    for (const char* key : {"SigBlk:", "SigIgn:", "Uid:", "Gid:", "Groups:"}) {
      if (line.starts_with(key)) std::printf("%s\n", line.c_str());
    }
  }
  return 0;
}

[[noreturn]] void Sleep() {
  for (;;) pause();
}

int RunFamily() {
  signal(SIGTERM, SIG_IGN);
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) < 0) return 1;
  const auto tell = [&ready](const char* who) {
    const std::string line = std::string(who) + "=" + std::to_string(getpid()) + "\n";
    (void)!write(STDOUT_FILENO, line.data(), line.size());
    (void)!write(ready[1], "x", 1);
    Sleep();
  };
  if (fork() == 0) tell("child");
  if (fork() == 0) {  // an orphan in a session of its own that keeps the environment
    setsid();
    if (fork() == 0) {
      close(STDERR_FILENO);
      tell("daemon");
    }
    _exit(0);
  }
  if (fork() == 0) {  // an orphan that can be known by its pipes only
    if (fork() == 0) {
      setsid();
      if (fork() == 0) {
        char program[4096] = {};
        (void)!readlink("/proc/self/exe", program, sizeof program - 1);
        char* const arguments[] = {program, const_cast<char*>("sleep"), nullptr};
        char* const nothing[] = {nullptr};
        const std::string line = "nameless=" + std::to_string(getpid()) + "\n";
        (void)!write(STDOUT_FILENO, line.data(), line.size());
        (void)!write(ready[1], "x", 1);
        execve(program, arguments, nothing);
      }
      _exit(0);
    }
    _exit(0);
  }
  char three[3];
  for (size_t got = 0; got < sizeof three;) {
    const ssize_t size = read(ready[0], three + got, sizeof three - got);
    if (size <= 0) return 1;
    got += static_cast<size_t>(size);
  }
  std::printf("ready\n");
  std::fflush(stdout);
  Sleep();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "brain") return RunBrain();
  if (mode == "report") return RunReport(argc, argv);
  if (mode == "family") return RunFamily();
  if (mode == "sleep") Sleep();
  return 64;
}
