// The whole core without a process or a socket: a supervisor over a fake keeper and fake plugins,
// with the real event loop, logs, pipes, event log and directories, and a clock that moves when the
// test says so. Nothing in it waits.
//
// Boot() starts a plugind; KillPlugind() is `kill -9` of it; the next Boot() inherits what the
// keeper and the disk have.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/event_loop.h"
#include "daemon/observe/event_log.h"
#include "daemon/observe/plugin_log.h"
#include "daemon/supervisor/reason.h"
#include "daemon/supervisor/supervisor.h"
#include "daemon/supervisor/testing/fake_client.h"
#include "daemon/supervisor/testing/fake_keeper.h"
#include "daemon/supervisor/testing/temp_dir.h"

namespace plugind::supervisor {

// One plugin daemon's process: everything that dies with it.
struct Plugind {
  Plugind(const Clock& clock, FakePlugins& plugins) : loop(clock), clients(loop, plugins) {}

  EventLoop loop;
  FakeClients clients;
  std::unique_ptr<observe::EventLog> events;
  std::optional<OperatorState> decisions;
  std::vector<std::string> reports;
  std::unique_ptr<Supervisor> supervisor;
};

// What a test of the core needs, apart from GoogleTest's fixture: the adoption test makes hundreds
// of them.
class World {
 public:
  World() {
    std::filesystem::create_directories(directories.runtime + "/i");
    std::filesystem::create_directories(directories.state + "/plugins");
    plugins.keeper = &keeper;
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    if (plugind && plugind->supervisor) CheckLogs();
    plugind.reset();
    killed.clear();
  }

  config::PluginConfig& Add(const std::string& name) {
    config::PluginConfig& plugin = config.plugins[name];
    plugin.name = name;
    plugin.file = "/etc/plugind/plugins.d/" + name + ".toml";
    plugin.command = {"/bin/true"};
    plugin.settings = "{}";
    return plugin;
  }

  // A (new) plugind takes over.
  void Boot() {
    plugind = std::make_unique<Plugind>(clock, plugins);
    Inheritance inheritance = keeper.Inherit();
    auto memory = inheritance.fds.extract("events");
    auto events = memory ? observe::EventLog::Reopen(std::move(memory.mapped()), clock)
                         : observe::EventLog::Create(256 * 1024, clock);
    ASSERT_TRUE(events.ok()) << events.status();
    plugind->events = *std::move(events);
    if (!memory) keeper.KeepFd("events", plugind->events->memory());
    auto decisions = OperatorState::Load(directories.state);
    ASSERT_TRUE(decisions.ok()) << decisions.status();
    plugind->decisions.emplace(*std::move(decisions));
    plugind->supervisor = std::make_unique<Supervisor>(Supervisor::Parts{
        plugind->loop, keeper, plugind->clients, *plugind->events, *plugind->decisions, directories,
        [this](const config::PluginConfig& plugin, const std::string& schema) {
          schemas[plugin.name] = schema;
          return schema == "bad" ? absl::FailedPreconditionError("its config_schema is bad")
                                 : absl::OkStatus();
        },
        [](const std::string&, const std::string&) { return absl::OkStatus(); },
        [](const std::string&) {},
        [this, now = plugind.get()](const std::string& plugin, const std::string& instance) {
          if (busy.contains(plugin)) return;
          now->loop.Post([now, instance] { now->supervisor->OnDrained(instance); });
        },
        [this] { return jitter; }, [] {},
        [now = plugind.get()](const std::string& text) { now->reports.push_back(text); }});
    plugind->supervisor->Start(config, std::move(inheritance));
    Settle();
  }
  // Its memory stays, unused: a killed process runs no destructor either.
  void KillPlugind() {
    keeper.KillPlugindAfter(std::nullopt);
    killed.push_back(std::move(plugind));
  }
  // Until nothing happens any more at this instant.
  void Settle() {
    constexpr int kQuietRounds = 8;  // more than any chain of posted work is long
    constexpr int kMostRounds = 10'000;
    int quiet = 0;
    for (int round = 0; quiet < kQuietRounds; ++round) {
      ASSERT_LT(round, kMostRounds) << "it never comes to rest";
      const auto before = std::pair(plugins.calls, keeper.commands().size());
      const bool delivered = keeper.Deliver(*plugind->supervisor);
      plugind->loop.RunOnce(Duration::zero());
      const auto after = std::pair(plugins.calls, keeper.commands().size());
      quiet = delivered || before != after ? 0 : quiet + 1;
    }
  }
  // Lets time pass, stopping at every deadline on the way.
  void Advance(Duration by) {
    Settle();
    const Instant until = clock.Now() + by;
    while (true) {
      const auto next = plugind->loop.timers().Next();
      if (!next || *next > until) break;
      if (*next > clock.Now()) clock.Advance(*next - clock.Now());
      Settle();
    }
    clock.Advance(until - clock.Now());
    Settle();
  }

  Supervisor& supervisor() { return *plugind->supervisor; }
  PluginStatus Status(const std::string& name) {
    const auto status = supervisor().Get(name);
    EXPECT_TRUE(status.ok()) << status.status();
    return status.ok() ? *status : PluginStatus();
  }
  // The types of a plugin's events, in order.
  std::vector<std::string> Events(const std::string& name) {
    std::vector<std::string> types;
    for (const auto& event : plugind->events->Read(1, 100'000)) {
      if (event.plugin == name) types.push_back(event.type);
    }
    return types;
  }
  std::vector<observe::LogEntry> Log(const std::string& name) {
    return supervisor().Log(name)->Read(1, 100'000);
  }
  // No transition was asked for that the table calls impossible.
  void CheckLogs() {
    for (const PluginStatus& status : supervisor().List()) {
      for (const auto& entry : Log(status.name)) {
        EXPECT_EQ(entry.message.find("defect:"), std::string::npos)
            << status.name << ": " << entry.message;
      }
    }
  }

  FakeClock clock;
  TempDir dir{TempDir::InMemory()};
  Directories directories{dir.Path("run"), dir.Path("state")};
  FakeKeeper keeper{clock};
  FakePlugins plugins;
  config::Config config;
  std::map<std::string, std::string> schemas;  // that were learnt, by plugin
  std::set<std::string> busy;                  // plugins with calls that do not end
  double jitter = 0.5;                         // leaves delays as they are
  std::unique_ptr<Plugind> plugind;
  std::vector<std::unique_ptr<Plugind>> killed;
};

class CoreTest : public testing::Test, public World {
 protected:
  std::string StateOf(const std::string& name) { return std::string(ToString(Status(name).state)); }
  std::string PhaseOf(const std::string& name) { return std::string(ToString(Status(name).phase)); }
  std::string ReasonOf(const std::string& name) { return Status(name).reason; }
  Manners& manners(const std::string& name) { return plugins.manners[name]; }

  // Adds a plugin of that name and starts plugind.
  void BootWith(const std::string& name) {
    Add(name);
    Boot();
  }
  // The commands since `begin`, without the records that go with everything.
  std::vector<std::string> CommandsSince(size_t begin) const {
    std::vector<std::string> some;
    for (size_t i = begin; i < keeper.commands().size(); ++i) {
      if (!keeper.commands()[i].starts_with("PutRecord")) some.push_back(keeper.commands()[i]);
    }
    return some;
  }
  size_t Now() const { return keeper.commands().size(); }
  // What a well-behaved process of `name` prints.
  std::string HandshakeOf(const std::string& name) {
    return "1|1|unix|" + directories.Instance(keeper.process(name).id) + "/p.sock|grpc\n";
  }
};

}  // namespace plugind::supervisor
