// PluginLog: its life, and what readers get of the entries.
#include "daemon/observe/plugin_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/base/status.h"
#include "daemon/observe/log_line.h"
#include "daemon/observe/log_memory.h"
#include "daemon/observe/log_record.h"
#include "daemon/observe/shared_ring.h"
#include "daemon/observe/staging.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

// What an entry takes besides its line: its numbers, the instance, and a length for each string.
constexpr size_t kEntryOverhead = 4096;
constexpr size_t kMinCapacity = 2 * (PluginLog::kMaxLine * kMaxExpansion + kEntryOverhead);

absl::Status About(const std::string& plugin, const absl::Status& status) {
  return Error(status.code(), "log of plugin {}: {}", plugin, Message(status));
}

// What `instance` wrote to stderr, the newest first, for as long as `each` returns true.
template <typename Each>
void EachStderrEntry(const SharedRing& ring, std::string_view instance, const Each& each) {
  std::string wrapped;
  for (uint64_t i = ring.next_sequence(); i-- > ring.first_sequence();) {
    const auto entry = DecodeEntry(ring.Get(i, wrapped), i);
    if (!entry || entry->source != Source::kStderr || entry->instance != instance) continue;
    if (!each(*entry)) return;
  }
}

}  // namespace

PluginLog::PluginLog(std::unique_ptr<LogMemory> memory, const Clock& clock)
    : memory_(std::move(memory)), clock_(clock), notified_(memory_->ring().next_sequence()) {}
PluginLog::~PluginLog() = default;

absl::StatusOr<std::unique_ptr<PluginLog>> PluginLog::Create(const std::string& plugin,
                                                             size_t capacity, const Clock& clock) {
  auto memory = LogMemory::Create(plugin, std::max(capacity, kMinCapacity));
  if (!memory.ok()) return About(plugin, memory.status());
  return std::unique_ptr<PluginLog>(new PluginLog(*std::move(memory), clock));
}

absl::StatusOr<std::unique_ptr<PluginLog>> PluginLog::Reopen(const std::string& plugin,
                                                             UniqueFd memory, const Clock& clock) {
  auto kept = LogMemory::Reopen(std::move(memory));
  if (!kept.ok()) return About(plugin, kept.status());
  return std::unique_ptr<PluginLog>(new PluginLog(*std::move(kept), clock));
}

const UniqueFd& PluginLog::memory() const { return memory_->ring().memory(); }

void PluginLog::SetStructured(bool structured) { structured_ = structured; }

void PluginLog::SetStdoutTap(StdoutTap tap) {
  tap_ = tap ? std::make_shared<StdoutTap>(std::move(tap)) : nullptr;
}

void PluginLog::AppendNotice(Level level, std::string_view message) {
  KeepNotice(level, message);
  Notify();
}

void PluginLog::KeepNotice(Level level, std::string_view message) {
  LogEntry entry;
  entry.level = level;
  entry.source = Source::kPlugind;
  entry.message = Sanitized(message.substr(0, Utf8Prefix(message, kMaxLine)));
  Keep(std::move(entry), Provenance());
}

void PluginLog::Keep(LogEntry entry, const Provenance& provenance) {
  entry.time = clock_.WallNow();
  memory_->Append(std::move(entry), provenance);
}

void PluginLog::OnAppended(std::function<void()> callback) { on_appended_ = std::move(callback); }

void PluginLog::Notify() {
  if (memory_->ring().next_sequence() == notified_) return;
  notified_ = memory_->ring().next_sequence();
  if (on_appended_) on_appended_();
}

uint64_t PluginLog::next_sequence() const { return memory_->ring().next_sequence(); }
uint64_t PluginLog::dropped_bytes() const { return memory_->dropped(); }

PluginLog::Accounting PluginLog::accounting() const {
  Accounting all;
  all.read = memory_->discarded();
  all.dropped = memory_->dropped();
  for (const LogStream stream : kStreams) {
    const Staging& staged = memory_->staging(stream);
    all.read += staged.end();
    all.delivered += staged.progress().delivered;
    all.pending += staged.pending();
  }
  return all;
}

std::vector<LogEntry> PluginLog::Read(uint64_t from, size_t limit) const {
  const SharedRing& ring = memory_->ring();
  std::vector<LogEntry> entries;
  std::string wrapped;
  for (uint64_t i = std::max(from, ring.first_sequence());
       i < ring.next_sequence() && entries.size() < limit; ++i) {
    auto entry = DecodeEntry(ring.Get(i, wrapped), i);
    if (entry) entries.push_back(*std::move(entry));
  }
  return entries;
}

uint64_t PluginLog::TailStart(uint64_t count) const {
  const uint64_t next = memory_->ring().next_sequence();
  return next - std::min(count, next - memory_->ring().first_sequence());
}

std::string PluginLog::StderrTail(std::string_view instance, size_t max_bytes) const {
  std::vector<std::string> lines;  // the newest first
  size_t size = 0;
  EachStderrEntry(memory_->ring(), instance, [&](const LogEntry& entry) {
    std::string line = entry.message;
    for (const auto& [key, value] : entry.fields) line.append(fmt::format(" {}={}", key, value));
    line.push_back('\n');
    if (size + line.size() > max_bytes) return false;
    size += line.size();
    lines.push_back(std::move(line));
    return true;
  });
  std::string tail;
  tail.reserve(size);
  std::for_each(lines.rbegin(), lines.rend(), [&](const auto& line) { tail.append(line); });
  return tail;
}

std::string PluginLog::LastStderrLine(std::string_view instance) const {
  std::string last;
  EachStderrEntry(memory_->ring(), instance, [&](const LogEntry& entry) {
    last = entry.message;
    return last.empty();
  });
  return last;
}

}  // namespace plugind::observe
