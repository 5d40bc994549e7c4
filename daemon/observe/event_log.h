// Every change of state of every plugin, numbered from 1 without gaps, in a ring of bounded size
// that survives `kill -9` of plugind (a memfd that the keeper holds). A watcher that knows the last
// number it saw resumes from the next. Lives on the supervisor's loop; one thread.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/unique_fd.h"

namespace plugind::observe {

struct Event {
  uint64_t sequence = 0;  // given by Append
  WallTime time;          // given by Append
  std::string plugin;
  uint8_t from = 0;  // supervisor::State, and the numbers of Plugin.State in control.proto
  uint8_t to = 0;
  std::string type;  // a fixed word; see Event.type in control.proto
  std::string reason;
  std::string phase;
  std::string instance;
  int pid = 0;
  uint32_t restarts = 0;
};

class EventLog {
 public:
  static absl::StatusOr<std::unique_ptr<EventLog>> Create(size_t capacity, const Clock& clock);
  static absl::StatusOr<std::unique_ptr<EventLog>> Reopen(UniqueFd memory, const Clock& clock);
  ~EventLog();

  const UniqueFd& memory() const;
  // Returns the event's number.
  uint64_t Append(Event event);
  uint64_t next_sequence() const;
  std::vector<Event> Read(uint64_t from, size_t limit) const;
  // Called after each Append; one only.
  void OnAppended(std::function<void()> callback);

 private:
  struct Impl;
  explicit EventLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace plugind::observe
