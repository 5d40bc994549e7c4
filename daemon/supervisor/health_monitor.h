// Keeps asking a plugin how it is, and says when the answer changes or stops coming.
//
// Check is asked at once, then every `interval`, or up to a fiftieth of it sooner: at moments that
// plugins share, so that their checks wake an idle daemon together and not one by one. Which of the
// fifty is the plugin's own depends on its name. Watch, where
// the plugin has it, tells of changes in between. If Check stops answering while a Watch is open,
// the Watch is given up for this process: a server with one worker thread would serve nothing else.
// Owned by Plugin, one for each connected process; on the supervisor's loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/base/event_loop.h"
#include "daemon/config/plugin_config.h"
#include "daemon/supervisor/plugin_client.h"

namespace plugind::supervisor {

enum class HealthVerdict : uint8_t {
  kServing,
  kNotServing,
  kUnhealthy,    // `failures` checks in a row failed; not said of one that warms up
  kUnsupported,  // no grpc.health.v1 at all
};

class HealthMonitor {
 public:
  // `report` may be called repeatedly with the same verdict, and may destroy this object.
  using Report = std::function<void(HealthVerdict, const std::string& detail)>;

  // `client` and `config` outlive this object.
  HealthMonitor(EventLoop& loop, PluginClient& client, std::string_view plugin, Report report);
  // Ends the Watch; an answer that is under way is dropped.
  ~HealthMonitor();

  // `warm_up`: not yet SERVING; asks more often until it is.
  void Start(const config::Health& config, bool warm_up);
  void SetConfig(const config::Health& config) { config_ = config; }
  // Why the last Check that failed did; empty when none has.
  const std::string& last_failure() const { return last_failure_; }

 private:
  void Check();
  void OnChecked(const absl::StatusOr<bool>& serving);
  void OnWatched(const absl::StatusOr<bool>& serving);
  void CheckNext();

  EventLoop& loop_;
  PluginClient& client_;
  // Gone with this object, which may end before the client does: what the client still answers then
  // finds nobody.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
  Report report_;
  config::Health config_;
  Deadline next_;
  const int moment_;      // of the interval, from 0
  bool regular_ = false;  // it is checked at its moment by now
  uint32_t failures_ = 0;
  std::string last_failure_;
  bool warm_up_ = false;
  bool checking_ = false;
  bool answered_ = false;  // a Check was answered once
  bool watching_ = false;
  bool watch_allowed_ = true;
  Instant next_watch_{};  // not before
};

}  // namespace plugind::supervisor
