// PluginLog: the way of a plugin's output, from pipe or chunk through its staging area, line by
// line, to an entry. The order of what is done to the memory is in README.md.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/base/failpoint.h"
#include "daemon/observe/log_line.h"
#include "daemon/observe/log_memory.h"
#include "daemon/observe/log_record.h"
#include "daemon/observe/plugin_log.h"
#include "daemon/observe/staging.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

constexpr size_t kPumpBytes = size_t{64} * 1024;
constexpr size_t kDetachBytes = size_t{1024} * 1024;

Source SourceOf(LogStream stream) {
  return stream == kStdoutPipe || stream == kStdoutChunks ? Source::kStdout : Source::kStderr;
}

LogStream PipeOf(Source source) { return source == Source::kStdout ? kStdoutPipe : kStderrPipe; }

LogStream ChunksOf(Source source) {
  return source == Source::kStdout ? kStdoutChunks : kStderrChunks;
}

void MakeNonBlocking(const UniqueFd& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags >= 0) ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
}

// Bytes that a read would find now.
size_t Available(const UniqueFd& fd) {
  int available = 0;
  if (::ioctl(fd.get(), FIONREAD, &available) != 0 || available < 0) return 0;
  return static_cast<size_t>(available);
}

}  // namespace

void PluginLog::Attach(std::string instance, UniqueFd stdout_pipe, UniqueFd stderr_pipe) {
  if (fd(Source::kStdout) >= 0 || fd(Source::kStderr) >= 0)
    Detach();  // unread bytes of the pipes before these
  if (instance != memory_->instance()) EndStreams();
  memory_->SetInstance(std::move(instance));
  pipes_ = {std::move(stdout_pipe), std::move(stderr_pipe)};
  for (const UniqueFd& pipe : pipes_) MakeNonBlocking(pipe);
  Notify();
}

int PluginLog::fd(Source stream) const { return pipes_[PipeOf(stream)].get(); }

PluginLog::Pumped PluginLog::Pump(Source stream) {
  const Pumped pumped = PumpPipe(PipeOf(stream), kPumpBytes);
  Notify();
  return pumped;
}

void PluginLog::Close(Source stream) {
  ClosePipe(PipeOf(stream));
  Notify();
}

void PluginLog::Detach() {
  for (const LogStream stream : kPipes) {
    if (PumpPipe(stream, kDetachBytes) == Pumped::kMore) {
      memory_->Discard(Available(pipes_[stream]));
    }
    ClosePipe(stream);
  }
  EndStreams();
  Notify();
}

void PluginLog::AppendOutput(Source source, std::string_view bytes) {
  const LogStream stream = ChunksOf(source);
  Staging& staged = memory_->staging(stream);
  while (!bytes.empty()) {
    // There is always room: no more than one open line is left after each round.
    const auto part = bytes.substr(0, staged.free_space());
    staged.Append(part);
    ParseStaged(stream, false);
    bytes.remove_prefix(part.size());
  }
  Notify();
}

PluginLog::Pumped PluginLog::PumpPipe(LogStream stream, size_t limit) {
  ParseStaged(stream, false);  // what a predecessor left
  if (!pipes_[stream].valid()) return Pumped::kClosed;
  while (limit > 0) {
    size_t taken = 0;
    switch (ReadOnce(stream, limit, taken)) {
      case Taken::kBytes:
        ParseStaged(stream, false);
        limit -= taken;
        break;
      case Taken::kNothing:
        return Pumped::kDrained;
      case Taken::kEnd:
        return Pumped::kClosed;
    }
  }
  return Pumped::kMore;
}

// One read, of exactly as many bytes as are there (we are the only reader), so that the intent says
// what will have come.
PluginLog::Taken PluginLog::ReadOnce(LogStream stream, size_t limit, size_t& taken) {
  Staging& staged = memory_->staging(stream);
  const size_t room = std::min(limit, staged.free_space());
  const size_t size = std::clamp<size_t>(Available(pipes_[stream]), 1, room);
  const auto range = staged.BeginFill(size);
  ssize_t got = 0;
  do {
    got = ::readv(pipes_[stream].get(), range.data(), static_cast<int>(range.size()));
  } while (got < 0 && errno == EINTR);
  const int error = errno;
  taken = got > 0 ? static_cast<size_t>(got) : 0;
  staged.EndFill(taken);
  if (got > 0) return Taken::kBytes;
  if (got < 0 && error == EAGAIN) return Taken::kNothing;
  if (got < 0) {
    KeepNotice(Level::kError,
               fmt::format("its {} cannot be read any more: {}",
                           stream == kStdoutPipe ? "stdout" : "stderr", std::strerror(error)));
  }
  return Taken::kEnd;
}

void PluginLog::ClosePipe(LogStream stream) {
  ParseStaged(stream, true);
  pipes_[stream].reset();
}

void PluginLog::ParseStaged(LogStream stream, bool end_open_line) {
  Staging& staged = memory_->staging(stream);
  const uint64_t before = staged.progress().consumed;
  std::string wrapped;  // our own, because the tap may append in turn
  while (staged.pending() > 0) {
    const std::string_view bytes = staged.Pending(kMaxLine + 1, wrapped);
    const size_t newline = bytes.find('\n');
    const bool ended = newline != std::string_view::npos;
    if (staged.progress().skipping != 0) {
      const size_t dropped = ended ? newline + 1 : bytes.size();
      staged.progress().consumed += dropped;
      staged.progress().dropped += dropped;
      staged.progress().skipping = ended ? 0 : 1;
    } else if (ended) {
      Deliver(stream, bytes.substr(0, newline), newline + 1, false);
    } else if (bytes.size() > kMaxLine) {
      const size_t size = Utf8Prefix(bytes, kMaxLine);
      Deliver(stream, bytes.substr(0, size), size, true);
    } else if (end_open_line) {
      Deliver(stream, bytes, bytes.size(), false);
    } else {
      break;
    }
  }
  Failpoint("log-entry-kept");
  if (staged.progress().consumed != before) memory_->Account(stream);
}

// `bytes`: what the line takes in its stream, with its newline.
void PluginLog::Deliver(LogStream stream, std::string_view line, size_t bytes, bool cut) {
  Progress& progress = memory_->staging(stream).progress();
  Progress after = progress;
  after.consumed += bytes;
  after.delivered += bytes;
  after.skipping = cut ? 1 : 0;
  if (stream == kStdoutPipe && TakenByTap(line, cut)) {
    progress = after;
    return;
  }
  bool failing = after.failing != 0;
  ParsedLine parsed = structured_ ? ParseLine(SourceOf(stream), line, failing)
                                  : PlainLine(SourceOf(stream), line, failing);
  after.failing = failing ? 1 : 0;
  LogEntry entry;
  entry.level = parsed.level;
  entry.source = SourceOf(stream);
  entry.message = std::move(parsed.message);
  entry.module = std::move(parsed.module);
  entry.plugin_time = std::move(parsed.plugin_time);
  entry.fields = std::move(parsed.fields);
  Keep(std::move(entry), {stream, after, 0});
  progress = after;
}

bool PluginLog::TakenByTap(std::string_view line, bool cut) {
  const auto current = tap_;
  return current != nullptr && (*current)(line, cut);
}

void PluginLog::EndStreams() {
  for (const LogStream stream : kStreams) {
    ParseStaged(stream, true);
    Staging& staged = memory_->staging(stream);
    if (staged.progress().skipping == 0 && staged.progress().failing == 0) continue;
    staged.progress().skipping = 0;
    staged.progress().failing = 0;
    staged.Commit();
  }
}

}  // namespace plugind::observe
