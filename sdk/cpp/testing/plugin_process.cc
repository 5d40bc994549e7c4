#include "sdk/cpp/testing/plugin_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <chrono>
#include <stdexcept>

namespace plugind::sdk {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kReadLimit{10'000};
constexpr int kEndLimit = 15'000;  // ms

// Appends what can be read within `limit`; false at the end of the stream or of the limit.
bool ReadSome(int fd, milliseconds limit, std::string& text) {
  pollfd watched{fd, POLLIN, 0};
  if (poll(&watched, 1, static_cast<int>(limit.count())) <= 0) return false;
  char buffer[4096];
  const ssize_t count = read(fd, buffer, sizeof(buffer));
  if (count <= 0) return false;
  text.append(buffer, static_cast<size_t>(count));
  return true;
}

milliseconds Left(steady_clock::time_point until) {
  const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
  return left.count() > 0 ? left : milliseconds(0);
}

// What comes up to and with `end`, taken off `text`; "" if it does not come.
std::string TakeUntil(int fd, const std::string& end, std::string& text) {
  const auto until = steady_clock::now() + kReadLimit;
  for (;;) {
    const size_t at = text.find(end);
    if (at != std::string::npos) {
      std::string taken = text.substr(0, at + end.size());
      text.erase(0, at + end.size());
      return taken;
    }
    if (!ReadSome(fd, Left(until), text)) return "";
  }
}

std::string TakeAll(int fd, std::string& text) {
  while (ReadSome(fd, milliseconds(1000), text)) {
  }
  return std::move(text);
}

}  // namespace

PluginProcess::PluginProcess(const std::vector<std::string>& command,
                             const std::map<std::string, std::string>& environment) {
  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  output_.Reset(out[0]);
  errors_.Reset(err[0]);
  const Fd output_end(out[1]);
  const Fd errors_end(err[1]);

  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (const auto& [key, value] : environment) variables.push_back(key + "=" + value);
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors_end.get(), STDERR_FILENO);
  const int error = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("posix_spawn " + command[0]);
  pidfd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
}

PluginProcess::~PluginProcess() {
  if (reaped_ || pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void PluginProcess::Signal(int number) const { kill(pid_, number); }

std::string PluginProcess::ReadLine() {
  std::string line = TakeUntil(output_.get(), "\n", output_text_);
  if (!line.empty()) line.pop_back();
  return line;
}

std::string PluginProcess::ReadAddress() {
  const std::string line = ReadLine();
  const size_t begin = line.find("|unix|");
  const size_t end = line.rfind("|grpc");
  if (begin == std::string::npos || end == std::string::npos) return "";
  const std::string rest = line.substr(end + 5);
  certificate_ = rest.empty() ? "" : rest.substr(1);
  return line.substr(begin + 6, end - begin - 6);
}

std::string PluginProcess::ReadErrorsUntil(const std::string& text) {
  return TakeUntil(errors_.get(), text, errors_text_);
}

int PluginProcess::WaitStatus() {
  if (reaped_) return status_;
  pollfd watched{pidfd_.get(), POLLIN, 0};
  if (poll(&watched, 1, kEndLimit) <= 0) return -1;
  waitpid(pid_, &status_, 0);
  reaped_ = true;
  return status_;
}

int PluginProcess::ExitCode() {
  const int status = WaitStatus();
  if (status == -1) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string PluginProcess::RestOfOutput() { return TakeAll(output_.get(), output_text_); }
std::string PluginProcess::RestOfErrors() { return TakeAll(errors_.get(), errors_text_); }

}  // namespace plugind::sdk
