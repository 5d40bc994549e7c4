#include "daemon/observe/log_record.h"

#include "daemon/base/codec.h"

namespace plugind::observe {
namespace {

Provenance GetProvenance(Reader& reader) {
  Provenance provenance;
  provenance.stream = reader.Get<uint8_t>();
  provenance.progress.consumed = reader.Get<uint64_t>();
  provenance.progress.delivered = reader.Get<uint64_t>();
  provenance.progress.dropped = reader.Get<uint64_t>();
  provenance.progress.skipping = reader.Get<uint32_t>();
  provenance.progress.failing = reader.Get<uint32_t>();
  provenance.dropped_in_all = reader.Get<uint64_t>();
  return provenance;
}

}  // namespace

std::string EncodeRecord(const LogEntry& entry, const Provenance& provenance) {
  Writer writer;
  writer.Put(provenance.stream)
      .Put(provenance.progress.consumed)
      .Put(provenance.progress.delivered)
      .Put(provenance.progress.dropped)
      .Put(provenance.progress.skipping)
      .Put(provenance.progress.failing)
      .Put(provenance.dropped_in_all)
      .Put(static_cast<int64_t>(entry.time.time_since_epoch().count()))
      .Put(entry.level)
      .Put(entry.source)
      .Put(entry.dropped_bytes)
      .Put(entry.instance)
      .Put(entry.message)
      .Put(entry.module)
      .Put(entry.plugin_time)
      .Put(static_cast<uint32_t>(entry.fields.size()));
  for (const auto& [key, value] : entry.fields) writer.Put(key).Put(value);
  return writer.Take();
}

std::optional<Provenance> DecodeProvenance(std::string_view record) {
  Reader reader(record);
  const Provenance provenance = GetProvenance(reader);
  if (!reader.ok()) return std::nullopt;
  return provenance;
}

std::optional<LogEntry> DecodeEntry(std::string_view record, uint64_t sequence) {
  Reader reader(record);
  GetProvenance(reader);
  LogEntry entry;
  entry.sequence = sequence;
  entry.time = WallTime(Duration(reader.Get<int64_t>()));
  entry.level = reader.Get<Level>();
  entry.source = reader.Get<Source>();
  entry.dropped_bytes = reader.Get<uint64_t>();
  entry.instance = reader.GetString();
  entry.message = reader.GetString();
  entry.module = reader.GetString();
  entry.plugin_time = reader.GetString();
  const auto fields = reader.Get<uint32_t>();
  for (uint32_t i = 0; reader.ok() && i < fields; ++i) {
    std::string key = reader.GetString();
    entry.fields.emplace_back(std::move(key), reader.GetString());
  }
  const bool known = entry.level >= Level::kTrace && entry.level <= Level::kError &&
                     entry.source >= Source::kStdout && entry.source <= Source::kPlugind;
  if (!reader.Done() || !known) return std::nullopt;
  return entry;
}

}  // namespace plugind::observe
