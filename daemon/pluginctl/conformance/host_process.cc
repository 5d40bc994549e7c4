#include "daemon/pluginctl/conformance/host_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "daemon/pluginctl/conformance/custodian.h"

namespace plugind::pluginctl::conformance {
namespace {

constexpr size_t kMostLines = 1000;
constexpr size_t kLongestLine = size_t{64} * 1024;
constexpr size_t kStderrKept = size_t{8} * 1024;
constexpr auto kStartLimit = std::chrono::seconds(10);

absl::Status MakePipe(UniqueFd* read_end, UniqueFd* write_end) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  read_end->reset(ends[0]);
  write_end->reset(ends[1]);
  return absl::OkStatus();
}

// Unlike a pipe it does not raise SIGPIPE.
absl::Status MakeSocketPair(UniqueFd* one, UniqueFd* other) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return ErrnoError(errno, "socketpair");
  one->reset(ends[0]);
  other->reset(ends[1]);
  return absl::OkStatus();
}

std::vector<const char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<const char*> pointers;
  for (const std::string& each : strings) pointers.push_back(each.c_str());
  pointers.push_back(nullptr);
  return pointers;
}

// False when nothing came until the deadline, or pluginctl's own custodian failed.
bool ReadNews(int fd, Deadline deadline, News* news) {
  while (true) {
    pollfd readable{fd, POLLIN, 0};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    if (poll(&readable, 1, static_cast<int>(left.count())) <= 0) continue;
    return read(fd, news, sizeof(*news)) == sizeof(*news);
  }
}

}  // namespace

std::string Ended::Words() const {
  if (signal == 0) return fmt::format("exit code {}", code);
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name);
}

void StderrTail::Append(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  text_ += bytes;
  if (text_.size() > kStderrKept) text_.erase(0, text_.size() - kStderrKept);
}

std::string StderrTail::Get() const {
  const std::lock_guard lock(mutex_);
  return text_;
}

absl::StatusOr<std::unique_ptr<HostProcess>> HostProcess::Start(const Launch& launch) {
  std::unique_ptr<HostProcess> process(new HostProcess);
  process->stderr_ = launch.stderr_tail;
  UniqueFd control, news, out, err;
  RETURN_IF_ERROR(MakeSocketPair(&control, &process->control_));
  RETURN_IF_ERROR(MakePipe(&process->news_, &news));
  RETURN_IF_ERROR(MakePipe(&process->out_, &out));
  RETURN_IF_ERROR(MakePipe(&process->err_, &err));
  process->wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!process->wake_.valid()) return ErrnoError(errno, "eventfd");

  std::vector<std::string> environment;
  for (const auto& [name, value] : launch.environment)
    environment.push_back(fmt::format("{}={}", name, value));
  const std::vector<const char*> argv = Pointers(launch.command);
  const std::vector<const char*> variables = Pointers(environment);
  process->custodian_ = ForkCustodian({.argv = argv.data(),
                                       .environment = variables.data(),
                                       .working_directory = launch.working_directory.c_str(),
                                       .standard_output = out.get(),
                                       .standard_error = err.get(),
                                       .control = control.get(),
                                       .news = news.get(),
                                       .folder = launch.folder.c_str()});
  if (process->custodian_ < 0) return ErrnoError(errno, "fork");
  for (UniqueFd* each : {&control, &news, &out, &err}) each->reset();

  News first{};
  if (!ReadNews(process->news_.get(), DeadlineAfter(kStartLimit), &first))
    return Error(absl::StatusCode::kInternal, "the process that starts the plugin is gone");
  if (first.what == News::kNoStart)
    return ErrnoError(first.value, fmt::format("cannot run {}", launch.command.front()));
  process->pid_ = first.value;
  process->reader_ = std::thread([raw = process.get()] { raw->Read(); });
  return process;
}

HostProcess::~HostProcess() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  const uint64_t one = 1;
  if (wake_.valid()) (void)!write(wake_.get(), &one, sizeof(one));
  if (reader_.joinable()) reader_.join();
  if (custodian_ > 0) {
    const char release = 'r';
    (void)send(control_.get(), &release, 1, MSG_NOSIGNAL);  // it may have gone by itself
    control_.reset();
    waitpid(custodian_, nullptr, 0);
  } else if (pid_ > 0) {  // its host was killed; it is ours now
    kill(-pid_, SIGKILL);
    if (!ended_) waitpid(pid_, nullptr, 0);
  }
}

void HostProcess::SetEnded(int status) {
  Ended ended;
  ended.at = std::chrono::steady_clock::now();
  if (WIFSIGNALED(status)) {
    ended.signal = WTERMSIG(status);
  } else {
    ended.code = WEXITSTATUS(status);
  }
  const std::lock_guard lock(mutex_);
  ended_ = ended;
  changed_.notify_all();
}

void HostProcess::TakeOutput(std::string_view bytes) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (partial_.size() < kLongestLine) partial_ += piece.substr(0, kLongestLine - partial_.size());
    if (end == std::string_view::npos) break;
    if (lines_.size() < kMostLines) lines_.push_back({std::move(partial_), true, now});
    partial_.clear();
    bytes.remove_prefix(end + 1);
  }
  changed_.notify_all();
}

void HostProcess::Read() {
  // When its host is killed it becomes pluginctl's child, and its end has to be asked for.
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  std::array<char, 65536> buffer{};
  bool told = false;  // of its end, by whoever is its parent
  bool orphan = false;
  while (true) {
    Reading reading = Reading::kOn;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      reading = reading_;
    }
    if (reading == Reading::kClosed) {
      const std::lock_guard lock(mutex_);
      out_.reset();
      err_.reset();
      silent_ = true;
      changed_.notify_all();
    }
    const bool on = reading == Reading::kOn;
    std::array<pollfd, 5> fds = {
        pollfd{on ? out_.get() : -1, POLLIN, 0}, pollfd{on ? err_.get() : -1, POLLIN, 0},
        pollfd{orphan ? -1 : news_.get(), POLLIN, 0},
        pollfd{orphan && !told ? pidfd.get() : -1, POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    if (poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[0].revents != 0) {
      const ssize_t got = read(out_.get(), buffer.data(), buffer.size());
      if (got > 0) {
        TakeOutput({buffer.data(), static_cast<size_t>(got)});
      } else if (got == 0) {
        const std::lock_guard lock(mutex_);
        if (!partial_.empty())
          lines_.push_back({std::move(partial_), false, std::chrono::steady_clock::now()});
        out_.reset();
      }
    }
    if (fds[1].revents != 0) {
      const ssize_t got = read(err_.get(), buffer.data(), buffer.size());
      const std::lock_guard lock(mutex_);
      if (got > 0) {
        stderr_->Append({buffer.data(), static_cast<size_t>(got)});
      } else if (got == 0) {
        err_.reset();
      }
    }
    if (fds[2].revents != 0) {
      News news{};
      if (read(news_.get(), &news, sizeof(news)) == sizeof(news)) {
        if (news.what == News::kEnded) {
          SetEnded(news.value);
          told = true;
        }
      } else {
        orphan = true;
      }
    }
    if (fds[3].revents != 0) {
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        SetEnded(status);
        told = true;
      }
    }
    if (fds[4].revents != 0) {
      uint64_t count = 0;
      (void)!read(wake_.get(), &count, sizeof(count));
    }
    const std::lock_guard lock(mutex_);
    silent_ = !out_.valid() && !err_.valid();
    changed_.notify_all();
  }
}

std::optional<Line> HostProcess::NextLine(Deadline deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [this] { return !lines_.empty() || !out_.valid(); });
  if (lines_.empty()) return std::nullopt;
  Line line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

std::optional<Ended> HostProcess::AwaitEnd(Deadline deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [this] { return ended_.has_value(); });
  return ended_;
}

bool HostProcess::AwaitSilence(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [this] { return silent_; });
}

void HostProcess::Signal(int signal) {
  const std::lock_guard lock(mutex_);
  if (!ended_) kill(pid_, signal);
}

void HostProcess::KillHost() {
  if (custodian_ <= 0) return;
  kill(custodian_, SIGKILL);
  waitpid(custodian_, nullptr, 0);
  custodian_ = -1;
}

void HostProcess::SetReading(Reading reading) {
  {
    const std::lock_guard lock(mutex_);
    reading_ = reading;
  }
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

void HostProcess::StopReading() { SetReading(Reading::kPaused); }
void HostProcess::GoOnReading() { SetReading(Reading::kOn); }

void HostProcess::CloseOutput() {
  SetReading(Reading::kClosed);
  AwaitSilence(DeadlineAfter(std::chrono::seconds(5)));
}

}  // namespace plugind::pluginctl::conformance
