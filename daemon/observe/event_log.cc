#include "daemon/observe/event_log.h"

#include <algorithm>
#include <optional>

#include "daemon/base/codec.h"
#include "daemon/base/status.h"
#include "daemon/observe/shared_ring.h"
#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

// Names are short and reasons are for people: what is longer is cut, so that an event always fits.
constexpr size_t kMaxText = 2048;
constexpr size_t kMinCapacity = size_t{64} * 1024;

std::string Bounded(const std::string& text) {
  const std::string clean = Sanitized(text);
  return clean.substr(0, Utf8Prefix(clean, kMaxText));
}

std::string Encode(const Event& event) {
  Writer writer;
  writer.Put(static_cast<int64_t>(event.time.time_since_epoch().count()))
      .Put(event.from)
      .Put(event.to)
      .Put(static_cast<int32_t>(event.pid))
      .Put(event.restarts)
      .Put(Bounded(event.plugin))
      .Put(Bounded(event.type))
      .Put(Bounded(event.reason))
      .Put(Bounded(event.phase))
      .Put(Bounded(event.instance));
  return writer.Take();
}

std::optional<Event> Decode(std::string_view record, uint64_t sequence) {
  Reader reader(record);
  Event event;
  event.sequence = sequence;
  event.time = WallTime(Duration(reader.Get<int64_t>()));
  event.from = reader.Get<uint8_t>();
  event.to = reader.Get<uint8_t>();
  event.pid = reader.Get<int32_t>();
  event.restarts = reader.Get<uint32_t>();
  event.plugin = reader.GetString();
  event.type = reader.GetString();
  event.reason = reader.GetString();
  event.phase = reader.GetString();
  event.instance = reader.GetString();
  if (!reader.Done()) return std::nullopt;
  return event;
}

absl::Status About(const absl::Status& status) {
  return Error(status.code(), "event log: {}", Message(status));
}

}  // namespace

struct EventLog::Impl {
  SharedRing ring;
  const Clock& clock;
  std::function<void()> on_appended;
};

EventLog::EventLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventLog::~EventLog() = default;

absl::StatusOr<std::unique_ptr<EventLog>> EventLog::Create(size_t capacity, const Clock& clock) {
  auto ring = SharedRing::Create("plugind-events", SharedRing::Kind::kEventLog,
                                 std::max(capacity, kMinCapacity), 0);
  if (!ring.ok()) return About(ring.status());
  return std::unique_ptr<EventLog>(
      new EventLog(std::unique_ptr<Impl>(new Impl{*std::move(ring), clock, nullptr})));
}

absl::StatusOr<std::unique_ptr<EventLog>> EventLog::Reopen(UniqueFd memory, const Clock& clock) {
  auto ring = SharedRing::Reopen(std::move(memory), SharedRing::Kind::kEventLog, 0);
  if (!ring.ok()) return About(ring.status());
  return std::unique_ptr<EventLog>(
      new EventLog(std::unique_ptr<Impl>(new Impl{*std::move(ring), clock, nullptr})));
}

const UniqueFd& EventLog::memory() const { return impl_->ring.memory(); }

uint64_t EventLog::Append(Event event) {
  event.time = impl_->clock.WallNow();
  const uint64_t sequence = impl_->ring.Append(Encode(event));
  if (impl_->on_appended) impl_->on_appended();
  return sequence;
}

uint64_t EventLog::next_sequence() const { return impl_->ring.next_sequence(); }

std::vector<Event> EventLog::Read(uint64_t from, size_t limit) const {
  std::vector<Event> events;
  std::string wrapped;
  for (uint64_t i = std::max(from, impl_->ring.first_sequence());
       i < impl_->ring.next_sequence() && events.size() < limit; ++i) {
    auto event = Decode(impl_->ring.Get(i, wrapped), i);
    if (event) events.push_back(*std::move(event));
  }
  return events;
}

void EventLog::OnAppended(std::function<void()> callback) {
  impl_->on_appended = std::move(callback);
}

}  // namespace plugind::observe
