#include "daemon/observe/plugin_log.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "daemon/base/failpoint.h"
#include "daemon/base/status.h"
#include "daemon/observe/log_line.h"
#include "daemon/observe/log_record.h"
#include "daemon/observe/shared_ring.h"
#include "daemon/observe/staging.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

constexpr size_t kPumpBytes = size_t{64} * 1024;
constexpr size_t kDetachBytes = size_t{1024} * 1024;
constexpr size_t kMaxInstance = 64;
// What an entry takes besides its line: its numbers, the instance, and a length for each string.
constexpr size_t kEntryOverhead = 4096;
constexpr size_t kMinCapacity = 2 * (PluginLog::kMaxLine * kMaxExpansion + kEntryOverhead);

// The chunks have staging areas of their own, because their lines and those from the pipes do not
// end at the same time.
enum Stream : uint8_t {
  kStdoutPipe,
  kStderrPipe,
  kStdoutChunks,
  kStderrChunks,
};
constexpr size_t kStreams = 4;
constexpr std::array kPipes = {kStdoutPipe, kStderrPipe};

Source SourceOf(Stream stream) {
  return stream == kStdoutPipe || stream == kStdoutChunks ? Source::kStdout : Source::kStderr;
}

// The owner's bytes of the ring: one page together with the ring's header, then the staging areas.
struct Layout {
  static constexpr size_t kHeaderBytes = 4096 - 64;

  struct Header {
    Staging::Secret secret;
    std::array<char, kMaxInstance> instance;
    uint64_t instance_size;
    uint64_t discarded;  // published: left unread in pipes that were closed
    uint64_t accounted;  // published: the progress of every entry before this number is committed
    std::array<Staging::Control, kStreams> controls;
  };
  static_assert(sizeof(Header) <= kHeaderBytes);
  static constexpr size_t kBytes = kHeaderBytes + kStreams * Staging::kCapacity;

  static Header& HeaderIn(std::span<std::byte> bytes) {
    return *reinterpret_cast<Header*>(bytes.data());
  }
  static Staging::Bytes StagingIn(std::span<std::byte> bytes, Stream stream) {
    auto* const first =
        reinterpret_cast<char*>(bytes.data() + kHeaderBytes + stream * Staging::kCapacity);
    return Staging::Bytes(first, Staging::kCapacity);
  }
};

absl::Status About(const std::string& plugin, const absl::Status& status) {
  return Error(status.code(), "log of plugin {}: {}", plugin, Message(status));
}

void MakeNonBlocking(const UniqueFd& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags >= 0) ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
}

Stream PipeOf(Source source) { return source == Source::kStdout ? kStdoutPipe : kStderrPipe; }

// Bytes that a read would find now.
size_t Available(const UniqueFd& fd) {
  int available = 0;
  if (::ioctl(fd.get(), FIONREAD, &available) != 0 || available < 0) return 0;
  return static_cast<size_t>(available);
}

}  // namespace

struct PluginLog::Impl {
  Impl(std::string plugin_name, SharedRing shared_ring, const Clock& wall)
      : plugin(std::move(plugin_name)),
        ring(std::move(shared_ring)),
        clock(wall),
        header(Layout::HeaderIn(ring.owner_bytes())),
        staging{MakeStaging(kStdoutPipe), MakeStaging(kStderrPipe), MakeStaging(kStdoutChunks),
                MakeStaging(kStderrChunks)} {}

  Staging MakeStaging(Stream stream) {
    return {header.controls[stream], Layout::StagingIn(ring.owner_bytes(), stream), header.secret};
  }

  absl::Status Recover();
  std::optional<Provenance> NewestUnaccounted(Stream stream) const;
  void SetInstance(std::string name);

  enum class Taken {
    kBytes,
    kNothing,
    kEnd,
  };
  Taken ReadOnce(Stream stream, size_t limit, size_t& taken);
  Pumped PumpPipe(Stream stream, size_t limit);
  void ClosePipe(Stream stream);
  void ParseStaged(Stream stream, bool end_open_line);
  void Deliver(Stream stream, std::string_view line, size_t bytes, bool cut);
  bool TakenByTap(std::string_view line, bool cut);
  void Keep(LogEntry entry, Provenance provenance);
  void EndStreams();
  void Notify();
  uint64_t Dropped() const;

  const std::string plugin;
  SharedRing ring;
  const Clock& clock;
  Layout::Header& header;
  std::array<Staging, kStreams> staging;
  std::string instance;
  std::array<UniqueFd, kPipes.size()> pipes;
  bool structured = true;
  std::shared_ptr<StdoutTap> tap;  // shared with the call under way, which may replace it
  std::function<void()> on_appended;
  uint64_t notified = 1;          // the number before which followers were told of all entries
  uint64_t dropped_reported = 0;  // in entries
};

absl::Status PluginLog::Impl::Recover() {
  if (header.instance_size > kMaxInstance) {
    return Error(absl::StatusCode::kDataLoss, "the kept instance is damaged");
  }
  instance = Sanitized({header.instance.data(), header.instance_size});
  for (size_t i = 0; i < kStreams; ++i) {
    RETURN_IF_ERROR(staging[i].Recover());
    // Entries that got into the ring just before the death, without the progress being committed.
    const auto newest = NewestUnaccounted(static_cast<Stream>(i));
    if (!newest || newest->progress.consumed <= staging[i].progress().consumed) continue;
    const Progress& progress = newest->progress;
    if (progress.consumed > staging[i].end() || progress.delivered > progress.consumed ||
        progress.dropped != progress.consumed - progress.delivered) {
      return Error(absl::StatusCode::kDataLoss, "the ring and the staging area disagree");
    }
    staging[i].progress() = progress;
    staging[i].Commit();
  }
  if (ring.next_sequence() > 1) {
    std::string wrapped;
    const auto newest = DecodeProvenance(ring.Get(ring.next_sequence() - 1, wrapped));
    if (!newest || newest->dropped_in_all > Dropped()) {
      return Error(absl::StatusCode::kDataLoss, "the newest entry is damaged");
    }
    dropped_reported = newest->dropped_in_all;
  }
  notified = ring.next_sequence();
  return absl::OkStatus();
}

std::optional<Provenance> PluginLog::Impl::NewestUnaccounted(Stream stream) const {
  const uint64_t first = std::max(ring.first_sequence(), header.accounted);
  std::string wrapped;
  for (uint64_t i = ring.next_sequence(); i-- > first;) {
    auto provenance = DecodeProvenance(ring.Get(i, wrapped));
    if (provenance && provenance->stream == stream) return provenance;
  }
  return std::nullopt;
}

void PluginLog::Impl::SetInstance(std::string name) {
  instance = Sanitized(name.substr(0, Utf8Prefix(name, kMaxInstance)));
  if (std::string_view(header.instance.data(), header.instance_size) == name) return;
  header.instance_size = std::min(name.size(), kMaxInstance);
  std::memcpy(header.instance.data(), name.data(), header.instance_size);
}

// One read, of exactly as many bytes as are there (we are the only reader), so that the intent says
// what will have come.
PluginLog::Impl::Taken PluginLog::Impl::ReadOnce(Stream stream, size_t limit, size_t& taken) {
  const size_t room = std::min(limit, staging[stream].free_space());
  const size_t size = std::clamp<size_t>(Available(pipes[stream]), 1, room);
  const auto range = staging[stream].BeginFill(size);
  ssize_t got = 0;
  do {
    got = ::readv(pipes[stream].get(), range.data(), static_cast<int>(range.size()));
  } while (got < 0 && errno == EINTR);
  const int error = errno;
  taken = got > 0 ? static_cast<size_t>(got) : 0;
  staging[stream].EndFill(taken);
  if (got > 0) return Taken::kBytes;
  if (got < 0 && error == EAGAIN) return Taken::kNothing;
  if (got < 0) {
    LogEntry entry;
    entry.level = Level::kError;
    entry.source = Source::kPlugind;
    entry.message = fmt::format("its {} cannot be read any more: {}",
                                stream == kStdoutPipe ? "stdout" : "stderr", std::strerror(error));
    Keep(std::move(entry), Provenance());
  }
  return Taken::kEnd;
}

PluginLog::Pumped PluginLog::Impl::PumpPipe(Stream stream, size_t limit) {
  ParseStaged(stream, false);  // what a predecessor left
  if (!pipes[stream].valid()) return Pumped::kClosed;
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

void PluginLog::Impl::ClosePipe(Stream stream) {
  ParseStaged(stream, true);
  pipes[stream].reset();
}

void PluginLog::Impl::ParseStaged(Stream stream, bool end_open_line) {
  Staging& staged = staging[stream];
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
  if (staged.progress().consumed == before) return;
  staged.Commit();
  Publish(header.accounted, ring.next_sequence());
}

// `bytes`: what the line takes in its stream, with its newline.
void PluginLog::Impl::Deliver(Stream stream, std::string_view line, size_t bytes, bool cut) {
  Progress after = staging[stream].progress();
  after.consumed += bytes;
  after.delivered += bytes;
  after.skipping = cut ? 1 : 0;
  if (stream == kStdoutPipe && TakenByTap(line, cut)) {
    staging[stream].progress() = after;
    return;
  }
  bool failing = after.failing != 0;
  ParsedLine parsed = structured ? ParseLine(SourceOf(stream), line, failing)
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
  staging[stream].progress() = after;
}

bool PluginLog::Impl::TakenByTap(std::string_view line, bool cut) {
  const auto current = tap;
  return current != nullptr && (*current)(line, cut);
}

void PluginLog::Impl::Keep(LogEntry entry, Provenance provenance) {
  provenance.dropped_in_all = Dropped();
  entry.time = clock.WallNow();
  entry.instance = instance;
  entry.dropped_bytes = provenance.dropped_in_all - dropped_reported;
  ring.Append(EncodeRecord(entry, provenance));
  dropped_reported = provenance.dropped_in_all;
}

void PluginLog::Impl::EndStreams() {
  for (size_t i = 0; i < kStreams; ++i) {
    ParseStaged(static_cast<Stream>(i), true);
    Progress& progress = staging[i].progress();
    if (progress.skipping == 0 && progress.failing == 0) continue;
    progress.skipping = 0;
    progress.failing = 0;
    staging[i].Commit();
  }
}

void PluginLog::Impl::Notify() {
  if (ring.next_sequence() == notified) return;
  notified = ring.next_sequence();
  if (on_appended) on_appended();
}

uint64_t PluginLog::Impl::Dropped() const {
  uint64_t dropped = header.discarded;
  for (const Staging& stream : staging) dropped += stream.progress().dropped;
  return dropped;
}

PluginLog::PluginLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PluginLog::~PluginLog() = default;

absl::StatusOr<std::unique_ptr<PluginLog>> PluginLog::Create(std::string plugin, size_t capacity,
                                                             const Clock& clock) {
  const std::string name = "plugind-log:" + plugin.substr(0, 200);
  auto ring = SharedRing::Create(name, SharedRing::Kind::kPluginLog,
                                 std::max(capacity, kMinCapacity), Layout::kBytes);
  if (!ring.ok()) return About(plugin, ring.status());
  auto impl = std::make_unique<Impl>(std::move(plugin), *std::move(ring), clock);
  Staging::Secret& secret = impl->header.secret;
  if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
    return About(impl->plugin, ErrnoError(errno, "getrandom"));
  }
  Staging::MakePattern(secret);
  return std::unique_ptr<PluginLog>(new PluginLog(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<PluginLog>> PluginLog::Reopen(std::string plugin, UniqueFd memory,
                                                             const Clock& clock) {
  auto ring = SharedRing::Reopen(std::move(memory), SharedRing::Kind::kPluginLog, Layout::kBytes);
  if (!ring.ok()) return About(plugin, ring.status());
  auto impl = std::make_unique<Impl>(std::move(plugin), *std::move(ring), clock);
  if (auto status = impl->Recover(); !status.ok()) return About(impl->plugin, status);
  return std::unique_ptr<PluginLog>(new PluginLog(std::move(impl)));
}

const UniqueFd& PluginLog::memory() const { return impl_->ring.memory(); }

void PluginLog::Attach(std::string instance, UniqueFd stdout_pipe, UniqueFd stderr_pipe) {
  if (fd(Source::kStdout) >= 0 || fd(Source::kStderr) >= 0)
    Detach();  // unread bytes of the pipes before these
  if (instance != impl_->instance) impl_->EndStreams();
  impl_->SetInstance(std::move(instance));
  impl_->pipes = {std::move(stdout_pipe), std::move(stderr_pipe)};
  for (const UniqueFd& pipe : impl_->pipes) MakeNonBlocking(pipe);
  impl_->Notify();
}

void PluginLog::SetStructured(bool structured) { impl_->structured = structured; }

void PluginLog::SetStdoutTap(StdoutTap tap) {
  impl_->tap = tap ? std::make_shared<StdoutTap>(std::move(tap)) : nullptr;
}

void PluginLog::Detach() {
  for (const Stream stream : kPipes) {
    if (impl_->PumpPipe(stream, kDetachBytes) == Pumped::kMore) {
      Publish(impl_->header.discarded, impl_->header.discarded + Available(impl_->pipes[stream]));
    }
    impl_->ClosePipe(stream);
  }
  impl_->EndStreams();
  impl_->Notify();
}

int PluginLog::fd(Source stream) const { return impl_->pipes[PipeOf(stream)].get(); }

PluginLog::Pumped PluginLog::Pump(Source stream) {
  const Pumped pumped = impl_->PumpPipe(PipeOf(stream), kPumpBytes);
  impl_->Notify();
  return pumped;
}

void PluginLog::Close(Source stream) {
  impl_->ClosePipe(PipeOf(stream));
  impl_->Notify();
}

void PluginLog::AppendOutput(Source source, std::string_view bytes) {
  const Stream stream = source == Source::kStdout ? kStdoutChunks : kStderrChunks;
  while (!bytes.empty()) {
    // There is always room: no more than one open line is left after each round.
    const auto part = bytes.substr(0, impl_->staging[stream].free_space());
    impl_->staging[stream].Append(part);
    impl_->ParseStaged(stream, false);
    bytes.remove_prefix(part.size());
  }
  impl_->Notify();
}

void PluginLog::AppendNotice(Level level, std::string_view message) {
  LogEntry entry;
  entry.level = level;
  entry.source = Source::kPlugind;
  entry.message = Sanitized(message.substr(0, Utf8Prefix(message, kMaxLine)));
  impl_->Keep(std::move(entry), Provenance());
  impl_->Notify();
}

uint64_t PluginLog::next_sequence() const { return impl_->ring.next_sequence(); }
uint64_t PluginLog::dropped_bytes() const { return impl_->Dropped(); }

PluginLog::Accounting PluginLog::accounting() const {
  Accounting all;
  all.read = impl_->header.discarded;
  all.dropped = impl_->Dropped();
  for (const Staging& stream : impl_->staging) {
    all.read += stream.end();
    all.delivered += stream.progress().delivered;
    all.pending += stream.pending();
  }
  return all;
}

std::vector<LogEntry> PluginLog::Read(uint64_t from, size_t limit) const {
  std::vector<LogEntry> entries;
  std::string wrapped;
  for (uint64_t i = std::max(from, impl_->ring.first_sequence());
       i < impl_->ring.next_sequence() && entries.size() < limit; ++i) {
    auto entry = DecodeEntry(impl_->ring.Get(i, wrapped), i);
    if (entry) entries.push_back(*std::move(entry));
  }
  return entries;
}

uint64_t PluginLog::TailStart(uint64_t count) const {
  const uint64_t next = impl_->ring.next_sequence();
  return next - std::min(count, next - impl_->ring.first_sequence());
}

std::string PluginLog::StderrTail(std::string_view instance, size_t max_bytes) const {
  std::vector<std::string> lines;  // the newest first
  size_t size = 0;
  std::string wrapped;
  for (uint64_t i = impl_->ring.next_sequence(); i-- > impl_->ring.first_sequence();) {
    const auto entry = DecodeEntry(impl_->ring.Get(i, wrapped), i);
    if (!entry || entry->source != Source::kStderr || entry->instance != instance) continue;
    std::string line = entry->message;
    for (const auto& [key, value] : entry->fields) line.append(fmt::format(" {}={}", key, value));
    line.push_back('\n');
    if (size + line.size() > max_bytes) break;
    size += line.size();
    lines.push_back(std::move(line));
  }
  std::string tail;
  tail.reserve(size);
  std::for_each(lines.rbegin(), lines.rend(), [&](const auto& line) { tail.append(line); });
  return tail;
}

std::string PluginLog::LastStderrLine(std::string_view instance) const {
  std::string wrapped;
  for (uint64_t i = impl_->ring.next_sequence(); i-- > impl_->ring.first_sequence();) {
    auto entry = DecodeEntry(impl_->ring.Get(i, wrapped), i);
    if (!entry || entry->instance != instance) continue;
    if (entry->source == Source::kStderr && !entry->message.empty()) return entry->message;
  }
  return "";
}

void PluginLog::OnAppended(std::function<void()> callback) {
  impl_->on_appended = std::move(callback);
}

}  // namespace plugind::observe
