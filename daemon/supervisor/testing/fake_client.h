// The gRPC side of fake plugins: each answers as its Manners say, always from a later round of the
// loop, with deadlines by the loop's clock. What a plugin is like outlives plugind (FakePlugins);
// who talks to it does not (FakeClients).
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/event_loop.h"
#include "daemon/supervisor/plugin_client.h"
#include "daemon/supervisor/testing/fake_keeper.h"

namespace plugind::supervisor {

// How a plugin answers, and how often it was asked.
struct Manners {
  absl::Status connect;  // unless it hangs: then UNAVAILABLE at the deadline
  bool connect_hangs = false;
  absl::StatusOr<bool> health = true;
  bool health_hangs = false;
  std::optional<absl::StatusOr<bool>> watch;  // unset: as `health`; a status ends the stream
  absl::StatusOr<std::vector<std::string>> services = absl::UnimplementedError("no reflection");
  absl::StatusOr<PluginAnswer> answer = absl::UnimplementedError("at the floor");
  bool negotiate_hangs = false;
  // What it says to settings; unset: takes them.
  std::function<absl::StatusOr<std::vector<Violation>>(const SettingsOffer&)> judge;
  bool configure_hangs = false;
  bool drain_hangs = false;
  bool hangs_while_watched = false;  // one worker thread, and the Watch has it
  absl::Status shutdown = absl::UnimplementedError("no such service");
  bool shutdown_hangs = false;
  bool exits_on_shutdown = false;

  int connects = 0;
  int checks = 0;
  int watches = 0;
  int watches_given_up = 0;
  int shutdowns = 0;
  int drains = 0;
  std::vector<SettingsOffer> settings;  // all that it was handed
  std::optional<HostOffer> offer;       // of the newest negotiation
  std::optional<ShutdownBy> shutdown_by;
  Endpoint endpoint;  // of the newest client
};

struct FakePlugins {
  std::map<std::string, Manners> manners;  // by plugin
  FakeKeeper* keeper = nullptr;
  uint64_t calls = 0;  // of all, so that a test sees when they have come to rest
};

class FakeClients;

class FakeClient final : public PluginClient {
 public:
  FakeClient(EventLoop& loop, FakePlugins& plugins, std::set<FakeClient*>& all,
             const Endpoint& endpoint)
      : loop_(loop), plugins_(plugins), all_(all), endpoint_(endpoint) {
    manners().endpoint = endpoint;
    all_.insert(this);
  }
  ~FakeClient() override { all_.erase(this); }

  void Connect(Instant deadline, std::function<void(absl::Status)> done) override {
    ++manners().connects;
    ++plugins_.calls;
    if (!Answers() || manners().connect_hangs) {
      return At(deadline, [done = std::move(done)] {
        done(absl::UnavailableError("nobody listens at its address"));
      });
    }
    Soon([done = std::move(done), status = manners().connect] { done(status); });
  }

  void Negotiate(const HostOffer& offer, Duration,
                 std::function<void(absl::StatusOr<PluginAnswer>)> done) override {
    ++plugins_.calls;
    manners().offer = offer;
    if (!Answers() || manners().negotiate_hangs) return;
    Soon([done = std::move(done), answer = manners().answer] { done(answer); });
  }

  void Configure(const SettingsOffer& settings, Duration timeout,
                 std::function<void(absl::StatusOr<std::vector<Violation>>)> done) override {
    ++plugins_.calls;
    manners().settings.push_back(settings);
    if (!Answers() || manners().configure_hangs) {
      return At(loop_.clock().Now() + timeout,
                [done = std::move(done)] { done(absl::DeadlineExceededError("no answer")); });
    }
    Soon([this, done = std::move(done), settings] {
      done(manners().judge ? manners().judge(settings) : std::vector<Violation>());
    });
  }

  void Drain(Duration timeout, std::function<void(absl::Status)> done) override {
    ++plugins_.calls;
    ++manners().drains;
    if (manners().drain_hangs) {
      return At(loop_.clock().Now() + timeout,
                [done = std::move(done)] { done(absl::DeadlineExceededError("no answer")); });
    }
    Soon([done = std::move(done)] { done(absl::OkStatus()); });
  }

  void CheckHealth(Duration timeout, std::function<void(absl::StatusOr<bool>)> done) override {
    ++manners().checks;
    ++plugins_.calls;
    if (!Answers()) {
      return Soon([done = std::move(done)] { done(absl::UnavailableError("connection refused")); });
    }
    if (manners().health_hangs || (manners().hangs_while_watched && watch_)) {
      return At(loop_.clock().Now() + timeout,
                [done = std::move(done)] { done(absl::DeadlineExceededError("no answer")); });
    }
    Soon([done = std::move(done), answer = manners().health] { done(answer); });
  }

  void WatchHealth(std::function<void(absl::StatusOr<bool>)> update) override {
    ++manners().watches;
    ++plugins_.calls;
    watch_ = std::make_shared<std::function<void(absl::StatusOr<bool>)>>(std::move(update));
    Push(manners().watch.value_or(manners().health));
  }

  void StopWatching() override {
    ++manners().watches_given_up;
    watch_.reset();
  }

  void ListServices(Duration,
                    std::function<void(absl::StatusOr<std::vector<std::string>>)> done) override {
    ++plugins_.calls;
    if (!Answers()) return;
    Soon([done = std::move(done), answer = manners().services] { done(answer); });
  }

  void StreamOutput(std::function<void(bool, std::string_view)> chunk) override {
    output_ = std::move(chunk);
  }

  void Shutdown(ShutdownBy by, Duration timeout, std::function<void(absl::Status)> done) override {
    ++manners().shutdowns;
    manners().shutdown_by = by;
    ++plugins_.calls;
    if (manners().exits_on_shutdown && Answers()) {
      plugins_.keeper->Exit(endpoint_.plugin, {});
      return Soon([done = std::move(done)] { done(absl::UnavailableError("Socket closed")); });
    }
    if (manners().shutdown_hangs) {
      return At(loop_.clock().Now() + timeout,
                [done = std::move(done)] { done(absl::DeadlineExceededError("no answer")); });
    }
    Soon([done = std::move(done), status = manners().shutdown] { done(status); });
  }

  const std::string& plugin() const { return endpoint_.plugin; }
  // To whoever watches.
  void Push(const absl::StatusOr<bool>& update) {
    if (!watch_) return;
    const std::weak_ptr<std::function<void(absl::StatusOr<bool>)>> watch = watch_;
    if (!update.ok()) watch_closing_ = std::exchange(watch_, nullptr);
    Soon([watch, update] {
      if (const auto callback = watch.lock()) (*callback)(update);
    });
  }
  void Output(bool is_stderr, std::string_view bytes) {
    if (output_) output_(is_stderr, bytes);
  }

 private:
  Manners& manners() { return plugins_.manners[endpoint_.plugin]; }
  bool Answers() const { return plugins_.keeper->IsAlive(endpoint_.instance); }

  void Soon(std::function<void()> work) {
    loop_.Post([alive = std::weak_ptr<bool>(alive_), work = std::move(work)] {
      if (!alive.expired()) work();
    });
  }
  void At(Instant when, std::function<void()> work) {
    loop_.timers().At(when, [alive = std::weak_ptr<bool>(alive_), work = std::move(work)] {
      if (!alive.expired()) work();
    });
  }

  EventLoop& loop_;
  FakePlugins& plugins_;
  std::set<FakeClient*>& all_;
  const Endpoint endpoint_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  // Shared with the updates under way, which find it gone once the watch was given up.
  std::shared_ptr<std::function<void(absl::StatusOr<bool>)>> watch_;
  std::shared_ptr<std::function<void(absl::StatusOr<bool>)>> watch_closing_;
  std::function<void(bool, std::string_view)> output_;
};

class FakeClients final : public PluginClientFactory {
 public:
  FakeClients(EventLoop& loop, FakePlugins& plugins) : loop_(loop), plugins_(plugins) {}

  std::unique_ptr<PluginClient> Make(const Endpoint& endpoint) override {
    return std::make_unique<FakeClient>(loop_, plugins_, all_, endpoint);
  }

  void Push(const std::string& plugin, const absl::StatusOr<bool>& update) {
    for (FakeClient* const client : all_) {
      if (client->plugin() == plugin) client->Push(update);
    }
  }
  void Output(const std::string& plugin, bool is_stderr, std::string_view bytes) {
    for (FakeClient* const client : all_) {
      if (client->plugin() == plugin) client->Output(is_stderr, bytes);
    }
  }
  size_t size() const { return all_.size(); }

 private:
  EventLoop& loop_;
  FakePlugins& plugins_;
  std::set<FakeClient*> all_;
};

}  // namespace plugind::supervisor
