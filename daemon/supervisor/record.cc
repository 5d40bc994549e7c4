#include "daemon/supervisor/record.h"

#include "daemon/base/codec.h"

namespace plugind::supervisor {
namespace {

constexpr uint32_t kLayout = 3;
constexpr size_t kMaxText = 4096;  // a reason; keeps a record far below the keeper's 64 KiB

void Put(Writer& writer, Instant at) { writer.Put(at.time_since_epoch().count()); }
void Put(Writer& writer, WallTime at) { writer.Put(at.time_since_epoch().count()); }
void PutText(Writer& writer, const std::string& text) {
  writer.Put(std::string_view(text).substr(0, kMaxText));
}
Instant GetInstant(Reader& reader) { return Instant(Duration(reader.Get<Duration::rep>())); }
WallTime GetWallTime(Reader& reader) { return WallTime(Duration(reader.Get<Duration::rep>())); }

template <typename Enum>
Enum GetEnum(Reader& reader, Enum last, bool* ok) {
  const auto value = reader.Get<uint8_t>();
  if (value > static_cast<uint8_t>(last)) *ok = false;
  return static_cast<Enum>(value);
}

Terms GetTerms(Reader& reader) {
  Terms terms;
  terms.served = reader.Get<uint8_t>() != 0;
  terms.version = reader.GetString();
  terms.sdk = reader.GetString();
  const auto capabilities = reader.Get<uint32_t>();
  for (uint32_t i = 0; reader.ok() && i < capabilities; ++i) {
    std::string name = reader.GetString();
    terms.capabilities[std::move(name)] = reader.GetString();
  }
  terms.takes_settings = reader.Get<uint8_t>() != 0;
  terms.generation = reader.Get<uint64_t>();
  terms.settings = reader.Get<uint64_t>();
  terms.settings_at = GetWallTime(reader);
  terms.status_text = reader.GetString();
  return terms;
}

}  // namespace

std::string Record::Encode() const {
  Writer writer;
  writer.Put(kLayout).Put(state).Put(phase).Put(wanted);
  Put(writer, state_since);
  PutText(writer, reason);
  writer.Put(restarts).Put(ever_started).Put(automatic);
  policy.Save(writer);
  Put(writer, retry_at);
  writer.Put(last_exit.has_value());
  if (last_exit) {
    const ExitStatus& status = last_exit->status;
    writer.Put(status.code).Put(status.signal).Put(status.core).Put(status.oom);
    Put(writer, last_exit->at);
    writer.Put(last_exit->instance).Put(last_exit->pid);
  }
  writer.Put(refused_settings);
  PutText(writer, refusal);
  writer.Put(instance).Put(pid).Put(fingerprint).Put(identity.has_value());
  if (identity) writer.Put(identity->certificate).Put(identity->key);
  writer.Put(handshake.has_value());
  if (handshake) {
    writer.Put(handshake->protocol_version).Put(handshake->network).Put(handshake->address);
    writer.Put(handshake->certificate);
  }
  writer.Put(services);
  writer.Put(terms.served).Put(terms.version).Put(terms.sdk);
  writer.Put(static_cast<uint32_t>(terms.capabilities.size()));
  for (const auto& [name, version] : terms.capabilities) writer.Put(name).Put(version);
  writer.Put(terms.takes_settings).Put(terms.generation).Put(terms.settings);
  Put(writer, terms.settings_at);
  PutText(writer, terms.status_text);
  Put(writer, start_deadline);
  Put(writer, ready_since);
  Put(writer, ready_at);
  writer.Put(was_ready).Put(end_cause);
  PutText(writer, end_reason);
  writer.Put(rung);
  Put(writer, rung_deadline);
  return writer.Take();
}

std::optional<Record> Record::Decode(std::string_view bytes) {
  Reader reader(bytes);
  if (reader.Get<uint32_t>() != kLayout) return std::nullopt;
  Record record;
  bool ok = true;
  record.state = GetEnum(reader, kLastState, &ok);
  if (record.state < kFirstState) ok = false;
  record.phase = GetEnum(reader, Phase::kWarmUp, &ok);
  record.wanted = reader.Get<uint8_t>() != 0;
  record.state_since = GetWallTime(reader);
  record.reason = reader.GetString();
  record.restarts = reader.Get<uint32_t>();
  record.ever_started = reader.Get<uint8_t>() != 0;
  record.automatic = reader.Get<uint8_t>() != 0;
  record.policy.Restore(reader);
  record.retry_at = GetInstant(reader);
  if (reader.Get<uint8_t>() != 0) {
    LastExit exit;
    exit.status.code = reader.Get<int>();
    exit.status.signal = reader.Get<int>();
    exit.status.core = reader.Get<uint8_t>() != 0;
    exit.status.oom = reader.Get<uint8_t>() != 0;
    exit.at = GetWallTime(reader);
    exit.instance = reader.GetString();
    exit.pid = reader.Get<int>();
    record.last_exit = std::move(exit);
  }
  record.refused_settings = reader.Get<uint64_t>();
  record.refusal = reader.GetString();
  record.instance = reader.GetString();
  record.pid = reader.Get<int>();
  record.fingerprint = reader.Get<uint64_t>();
  if (reader.Get<uint8_t>() != 0) {
    tls::Identity identity;
    identity.certificate = reader.GetString();
    identity.key = reader.GetString();
    record.identity = std::move(identity);
  }
  if (reader.Get<uint8_t>() != 0) {
    Handshake handshake;
    handshake.protocol_version = reader.Get<uint32_t>();
    handshake.network = GetEnum(reader, Network::kTcp, &ok);
    handshake.address = reader.GetString();
    handshake.certificate = reader.GetString();
    record.handshake = std::move(handshake);
  }
  record.services = reader.GetStrings();
  record.terms = GetTerms(reader);
  record.start_deadline = GetInstant(reader);
  record.ready_since = GetInstant(reader);
  record.ready_at = GetWallTime(reader);
  record.was_ready = reader.Get<uint8_t>() != 0;
  record.end_cause = GetEnum(reader, EndCause::kPermanent, &ok);
  record.end_reason = reader.GetString();
  record.rung = GetEnum(reader, StopRung::kKill, &ok);
  record.rung_deadline = GetInstant(reader);
  if (!ok || !reader.Done()) return std::nullopt;
  return record;
}

}  // namespace plugind::supervisor
