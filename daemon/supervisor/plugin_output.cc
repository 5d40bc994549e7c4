// Plugin: its two pipes, from the loop into its log.
#include <fmt/format.h>
#include <sys/epoll.h>

#include <utility>

#include "daemon/supervisor/plugin.h"

namespace plugind::supervisor {

void Plugin::AttachOutput(UniqueFd stdout_pipe, UniqueFd stderr_pipe) {
  log_->Attach(record_.instance, std::move(stdout_pipe), std::move(stderr_pipe));
  for (const auto stream : {observe::Source::kStdout, observe::Source::kStderr}) {
    const int fd = log_->fd(stream);
    if (fd >= 0) around_.loop.Watch(fd, EPOLLIN, [this, stream](uint32_t) { PumpOutput(stream); });
  }
  // A predecessor may have taken bytes off the pipes and died before it made lines of them.
  PumpOutput(observe::Source::kStdout);
  PumpOutput(observe::Source::kStderr);
}

void Plugin::PumpOutput(observe::Source stream) {
  // What it said on stderr before its handshake is known when the handshake is judged.
  if (stream == observe::Source::kStdout && state() == State::kStarting && !record_.handshake) {
    PumpOutput(observe::Source::kStderr);
  }
  if (log_->fd(stream) < 0 || log_->Pump(stream) != observe::PluginLog::Pumped::kClosed) return;
  around_.loop.Unwatch(log_->fd(stream));
  log_->Close(stream);
  if (stream == observe::Source::kStdout && state() == State::kStarting && !record_.handshake) {
    // Usually its death, which the keeper is about to report. If not, nothing will ever come.
    start_deadline_.Set(around_.loop.clock().Now() + std::chrono::milliseconds(250),
                        [this] { FailStart("it closed its stdout before the handshake", false); });
  }
}

void Plugin::DrainOutput() {
  constexpr int kRounds =
      64;  // of 64 KiB: more than the pipes hold, and a bound on a descendant that goes on writing
  for (const auto stream : {observe::Source::kStdout, observe::Source::kStderr}) {
    for (int i = 0; i < kRounds && log_->fd(stream) >= 0; ++i) {
      if (log_->Pump(stream) != observe::PluginLog::Pumped::kMore) break;
    }
  }
}

std::string Plugin::WithLastWords(std::string reason) const {
  const std::string words = log_->LastStderrLine(record_.instance);
  return words.empty() ? reason : fmt::format("{}; its last words: {}", reason, words);
}

void Plugin::CloseOutput() {
  for (const auto stream : {observe::Source::kStdout, observe::Source::kStderr}) {
    if (log_->fd(stream) >= 0) around_.loop.Unwatch(log_->fd(stream));
  }
  log_->Detach();
}

}  // namespace plugind::supervisor
