#include "daemon/plugind/metrics_server.h"

#include <unistd.h>

#include <utility>

#include "daemon/observe/exposition.h"

namespace plugind {
namespace {

constexpr Duration kPageAge = std::chrono::seconds(1);

}  // namespace

absl::Status MetricsServer::Listen(const std::string& address) {
  if (server_ && address == configured_) return absl::OkStatus();
  StopListening();
  configured_ = address;
  if (address.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(HttpListener listener, ListenHttp(address));
  address_ = std::move(listener.address);
  path_ = std::move(listener.path);
  server_.emplace(parts_.loop, std::move(listener.fd),
                  [this](const observe::HttpRequest& request) { return Answer(request); });
  return absl::OkStatus();
}

void MetricsServer::StopListening() {
  if (server_ && !path_.empty()) ::unlink(path_.c_str());
  server_.reset();
  address_.clear();
  path_.clear();
}

observe::HttpResponse MetricsServer::Answer(const observe::HttpRequest& request) {
  if (request.path == "/metrics") return Metrics();
  // The loop that answers is the one that supervises.
  if (request.path == "/livez") return observe::PlainText(200, "alive\n");
  if (request.path == "/readyz") {
    Readiness readiness =
        DescribeReadiness(parts_.supervisor.List(), parts_.supervisor.stopping(),
                          request.query == "verbose" || request.query.starts_with("verbose="));
    return observe::PlainText(readiness.ready ? 200 : 503, std::move(readiness.text));
  }
  return observe::PlainText(404, "there are /metrics, /livez and /readyz\n");
}

observe::HttpResponse MetricsServer::Metrics() {
  const Instant now = parts_.loop.clock().Now();
  auto page = page_.lock();
  if (page == nullptr || now - page_made_ >= kPageAge) {
    page = std::make_shared<const std::string>(
        RenderMetrics(parts_.daemon(), parts_.supervisor.List(), parts_.calls()));
    page_ = page;
    page_made_ = now;
  }
  return {.status = 200, .content_type = observe::kExpositionType, .body = std::move(page)};
}

}  // namespace plugind
