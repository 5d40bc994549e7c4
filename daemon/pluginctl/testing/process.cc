#include "daemon/pluginctl/testing/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace plugind::pluginctl::testing {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& each : strings) pointers.push_back(each.data());
  pointers.push_back(nullptr);
  return pointers;
}

void MakePipe(UniqueFd* read_end, UniqueFd* write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  read_end->reset(ends[0]);
  write_end->reset(ends[1]);
}

void MakeTerminal(UniqueFd* master, UniqueFd* slave) {
  int ends[2];
  winsize size{};
  size.ws_col = 60;
  size.ws_row = 24;
  if (openpty(&ends[0], &ends[1], nullptr, nullptr, &size) != 0) std::abort();
  for (const int fd : ends) fcntl(fd, F_SETFD, FD_CLOEXEC);
  master->reset(ends[0]);
  slave->reset(ends[1]);
}

}  // namespace

const std::string& PluginctlPath() {
  static const std::string path = PLUGINCTL_BINARY;
  return path;
}

Process::Process(std::vector<std::string> argv, const ProcessOptions& options) {
  UniqueFd child_out, child_err;
  if (options.terminal) {
    MakeTerminal(&out_, &child_out);
    child_err = child_out.Duplicate();
  } else {
    MakePipe(&out_, &child_out);
    MakePipe(&err_, &child_err);
  }
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

  std::map<std::string, std::string> variables = options.env;
  variables.insert(
      {{"PATH", std::getenv("PATH")}, {"LANG", "C.UTF-8"}, {"TZ", "UTC"}});  // where not given
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, child_out.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, child_err.get(), 2);
  const int error = posix_spawnp(&pid_, argv.front().c_str(), &actions, nullptr,
                                 Pointers(argv).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    ADD_FAILURE() << "cannot run " << argv.front() << ": " << std::strerror(error);
    pid_ = -1;
    ended_ = true;
    return;
  }
  reader_ = std::thread([this] { Read(); });
}

Process::~Process() {
  Signal(SIGKILL);
  if (reader_.joinable()) reader_.join();
}

void Process::Read() {
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  UniqueFd out = std::move(out_), err = std::move(err_);
  std::array<char, 65536> buffer{};
  const auto take = [&](UniqueFd& fd, std::string& text) {
    const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
    if (got <= 0) {  // EIO is a terminal's end
      fd.reset();
      return;
    }
    const std::lock_guard lock(mutex_);
    text.append(buffer.data(), static_cast<size_t>(got));
    changed_.notify_all();
  };
  bool exited = false;
  while (!exited || out.valid() || err.valid()) {
    std::array<pollfd, 4> fds = {pollfd{out.get(), POLLIN, 0}, pollfd{err.get(), POLLIN, 0},
                                 pollfd{exited ? -1 : pidfd.get(), POLLIN, 0},
                                 pollfd{wake_.get(), POLLIN, 0}};
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) std::abort();
    if (fds[0].revents != 0) take(out, result_.out);
    if (fds[1].revents != 0) take(err, result_.err);
    if (fds[2].revents != 0) exited = true;
    if (fds[3].revents != 0) {
      uint64_t count = 0;
      (void)!read(wake_.get(), &count, sizeof(count));
      out.reset();
    }
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  const std::lock_guard lock(mutex_);
  result_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ended_ = true;
  pid_ = -1;
  changed_.notify_all();
}

bool Process::AwaitText(const std::string& text) {
  std::unique_lock lock(mutex_);
  const auto printed = [&] {
    return result_.out.find(text) != std::string::npos ||
           result_.err.find(text) != std::string::npos;
  };
  changed_.wait_for(lock, kPatience, [&] { return ended_ || printed(); });
  if (!printed())
    ADD_FAILURE() << "\"" << text << "\" was not printed; out: " << result_.out
                  << " err: " << result_.err;
  return printed();
}

void Process::Signal(int signal) {
  const std::lock_guard lock(mutex_);
  if (pid_ > 0) kill(pid_, signal);
}

void Process::CloseStdout() {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

Result Process::Wait() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [this] { return ended_; })) {
    ADD_FAILURE() << "it did not end; out: " << result_.out << " err: " << result_.err;
    kill(pid_, SIGKILL);
    changed_.wait(lock, [this] { return ended_; });
  }
  return result_;
}

Result Pluginctl(const std::vector<std::string>& arguments, const ProcessOptions& options) {
  std::vector<std::string> argv = {PluginctlPath()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return Process(argv, options).Wait();
}

}  // namespace plugind::pluginctl::testing
