// Any bytes as lines of a plugin's output. What must hold: whatever the parser makes of a line is
// clean text of bounded length; a log fed with the bytes, in pieces, balances its books, has clean
// entries with numbers that have no gap, and is the same for a successor that takes over its
// memory.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "daemon/observe/log_line.h"
#include "daemon/observe/plugin_log.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void RequireClean(std::string_view text) { Require(Sanitized(text) == text, "unclean text"); }

void ParseAll(Source source, std::string_view text) {
  bool failing = false;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const ParsedLine parsed = ParseLine(source, line, failing);
    RequireClean(parsed.message);
    RequireClean(parsed.module);
    RequireClean(parsed.plugin_time);
    size_t size = parsed.message.size() + parsed.module.size() + parsed.plugin_time.size();
    for (const auto& [key, value] : parsed.fields) {
      RequireClean(key);
      RequireClean(value);
      size += key.size() + value.size();
    }
    Require(size <= kMaxExpansion * line.size(), "a line grew too much");
  }
}

void RequireBalance(const PluginLog& log) {
  const auto all = log.accounting();
  Require(all.read == all.delivered + all.dropped + all.pending, "bytes are unaccounted for");
}

void RequireSound(const std::vector<LogEntry>& entries, uint64_t next) {
  if (entries.empty()) return;
  uint64_t expected = entries.front().sequence;
  for (const LogEntry& entry : entries) {
    Require(entry.sequence == expected++, "a gap in the numbers");
    RequireClean(entry.message);
  }
  Require(expected == next, "the newest entry is missing");
}

// The pieces that the bytes come in are as long as the bytes say.
void FeedLog(std::string_view text) {
  const SystemClock clock;
  auto log = PluginLog::Create("fuzz", 0, clock);
  Require(log.ok(), "no memory for a log");
  const size_t sent = text.size();
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    const auto piece = text.substr(0, size_t{1} + first * (first % 2 ? 1U : 100U));
    (*log)->AppendOutput(first % 3 ? Source::kStderr : Source::kStdout, piece);
    RequireBalance(**log);
    text.remove_prefix(piece.size());
  }
  Require((*log)->accounting().read == sent, "bytes are missing");
  const auto entries = (*log)->Read(1, SIZE_MAX);
  RequireSound(entries, (*log)->next_sequence());

  auto successor = PluginLog::Reopen("fuzz", (*log)->memory().Duplicate(), clock);
  Require(successor.ok(), "a sound memory was refused");
  Require((*successor)->Read(1, SIZE_MAX).size() == entries.size(), "entries are missing");
  Require((*successor)->accounting().pending == (*log)->accounting().pending, "bytes are lost");
  (*successor)->Detach();
  RequireBalance(**successor);
  Require((*successor)->accounting().pending == 0, "an open line was not ended");
}

}  // namespace
}  // namespace plugind::observe

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  using plugind::observe::Source;
  plugind::observe::ParseAll(size % 2 == 0 ? Source::kStdout : Source::kStderr, text);
  plugind::observe::FeedLog(text);
  return 0;
}
