// plugind's pages for machines, over HTTP on [metrics] listen: /metrics, /livez and /readyz.
// Whether they can be served decides nothing else: a port in use is told, and the rest goes on.
//
// Owned by Daemon; on the supervisor's loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/event_loop.h"
#include "daemon/base/status.h"
#include "daemon/gateway/call_totals.h"
#include "daemon/observe/http_server.h"
#include "daemon/plugind/http_listener.h"
#include "daemon/plugind/metrics_page.h"
#include "daemon/supervisor/supervisor.h"

namespace plugind {

class MetricsServer {
 public:
  struct Parts {
    EventLoop& loop;
    const supervisor::Supervisor& supervisor;
    std::function<std::vector<gateway::CallTotals>()> calls;
    std::function<DaemonFigures()> daemon;
  };
  explicit MetricsServer(Parts parts) : parts_(std::move(parts)) {}
  ~MetricsServer() { StopListening(); }

  // As [metrics] listen has it; "" listens nowhere. The same address again is left as it is, or
  // tried once more where it failed. On an error nothing listens.
  absl::Status Listen(const std::string& address);
  // What it listens on; "" for nothing.
  const std::string& address() const { return address_; }

 private:
  observe::HttpResponse Answer(const observe::HttpRequest& request);
  observe::HttpResponse Metrics();
  void StopListening();

  Parts parts_;
  std::string configured_;
  std::string address_;
  std::string path_;  // of a Unix socket
  std::optional<observe::HttpServer> server_;
  // The newest page while somebody still takes it: who asks within a second shares it, so that many
  // slow readers do not hold as many pages.
  std::weak_ptr<const std::string> page_;
  Instant page_made_;
};

}  // namespace plugind
