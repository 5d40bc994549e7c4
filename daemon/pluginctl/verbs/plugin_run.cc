// pluginctl plugin run: a plugin under a plugind of its own, with its log and its states before the
// author's eyes, until Ctrl-C.
#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "daemon/base/event_loop.h"
#include "daemon/base/status.h"
#include "daemon/config/load.h"
#include "daemon/pluginctl/author/attach_relay.h"
#include "daemon/pluginctl/author/command.h"
#include "daemon/pluginctl/author/example_call.h"
#include "daemon/pluginctl/author/feed.h"
#include "daemon/pluginctl/author/file_watch.h"
#include "daemon/pluginctl/author/narrator.h"
#include "daemon/pluginctl/author/plugin_file.h"
#include "daemon/pluginctl/author/private_daemon.h"
#include "daemon/pluginctl/author/scratch_folder.h"
#include "daemon/pluginctl/author/text_file.h"
#include "daemon/pluginctl/author/wake_on_signal.h"
#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/state.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

using v1::Plugin;
namespace fs = std::filesystem;

std::string Milliseconds(Duration time) {
  return fmt::format("{} ms", std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

class Session {
 public:
  Session(const Terminal& terminal, const PluginRunOptions& options)
      : options_(options),
        narrator_(terminal, [this] { loop_.Post([this] { OnInterrupt(); }); }),
        loop_(clock_),
        watch_(loop_, [this](const std::set<std::string>& paths) { OnFiles(paths); }),
        signals_(loop_, [this] { OnInterrupt(); }) {}

  ExitCode Run() {
    if (const absl::Status prepared = Prepare(); !prepared.ok()) {
      Complain(std::string(Message(prepared)));
      return ExitCode::kFailed;
    }
    if (!WritePluginFile()) return ExitCode::kFailed;
    if (const absl::Status started = Start(); !started.ok()) {
      Complain(std::string(Message(started)));
      return ExitCode::kFailed;
    }
    loop_.Run();
    return code_;
  }

 private:
  // ---- Before anything runs ----

  absl::Status Prepare() {
    if (!options_.config.empty()) {
      author_.path = fs::absolute(options_.config).lexically_normal().string();
      ASSIGN_OR_RETURN(author_.text, ReadFile(author_.path));
    }
    command_ = options_.command.empty() ? CommandOf(author_) : ResolveCommand(options_.command);
    if (command_.empty()) {
      return Error(absl::StatusCode::kInvalidArgument,
                   "name the plugin's program, or a --config file with a command");
    }
    name_ = options_.name.empty() ? PluginNameFor(author_, command_.front()) : options_.name;
    ASSIGN_OR_RETURN(plugind_, FindPlugind());
    ASSIGN_OR_RETURN(ScratchFolder folder, ScratchFolder::Make());
    folder_.emplace(std::move(folder));
    std::error_code error;
    fs::create_directories(folder_->path() + "/c/plugins.d", error);
    if (error) return ErrnoError(error.value(), "cannot make folders in " + folder_->path());
    plugin_file_ = folder_->path() + "/c/plugins.d/" + name_ + ".toml";
    if (options_.attach) {
      const std::string attach = folder_->path() + "/a";
      fs::create_directory(attach, error);
      if (error) return ErrnoError(error.value(), "cannot make " + attach);
      relay_ = {fs::read_symlink("/proc/self/exe", error).string(), "plugin", "attach-relay",
                attach};
      environment_ = attach + '/' + kAttachEnvironment;
    }
    return WriteFile(folder_->path() + "/c/plugind.toml", "[metrics]\nlisten = \"\"\n");
  }

  // From the author's file as it is now. False: it has errors, which were shown.
  bool WritePluginFile() {
    std::vector<std::string> command = options_.attach ? relay_ : command_;
    if (options_.attach && WantsAutoMtls(author_)) command.emplace_back("--auto-mtls");
    PrivateFile file =
        ComposePluginFile(author_, {.command = std::move(command), .patient = options_.attach});
    if (!file.problems.empty()) return ShowProblems(file.problems);
    private_ = std::move(file);
    if (const absl::Status written = WriteFile(plugin_file_, private_.text); !written.ok()) {
      narrator_.Fail(Message(written));
      return false;
    }
    auto loaded = config::Load(folder_->path() + "/c/plugind.toml", {.file_required = true});
    return loaded.ok() || ShowProblems(loaded.problems);
  }

  bool ShowProblems(const std::vector<config::Problem>& problems) {
    for (const config::Problem& problem : problems) narrator_.Fail(InHisWords(problem.ToString()));
    return false;
  }

  std::string InHisWords(const std::string& text) const {
    return Printable(InAuthorsWords(text, plugin_file_, author_, private_));
  }

  absl::Status Start() {
    started_at_ = clock_.Now();
    ASSIGN_OR_RETURN(PrivateDaemon daemon, PrivateDaemon::Start(plugind_, folder_->path()));
    daemon_.emplace(std::move(daemon));
    loop_.Watch(daemon_->pidfd(), EPOLLIN, [this](uint32_t) { OnDaemonEnd(); });
    connection_.emplace(PrivateDaemon::SocketIn(folder_->path()));

    v1::WatchEventsRequest events;
    events.set_follow(true);
    events.set_name(name_);
    events_ = std::make_unique<EventFeed>(connection_->stub(), events, [this](v1::Event event) {
      loop_.Post([this, event = std::move(event)] { OnEvent(event); });
    });
    v1::StreamLogsRequest logs;
    logs.set_follow(true);
    logs.set_name(name_);
    logs_ = std::make_unique<LogFeed>(connection_->stub(), logs, [this](v1::LogEntry entry) {
      loop_.Post([this, entry = std::move(entry)] { narrator_.Log(entry); });
    });
    if (options_.attach) RETURN_IF_ERROR(watch_.Add(environment_));
    if (options_.watch) RETURN_IF_ERROR(WatchFiles());
    if (options_.attach) {
      narrator_.Say(fmt::format(
          "\"{}\" under a plugind of its own, to be started by hand; Ctrl-C ends it", name_));
      return absl::OkStatus();
    }
    narrator_.Say(fmt::format("running {} as \"{}\" under a plugind of its own; Ctrl-C ends it",
                              Printable(command_.front()), name_));
    return absl::OkStatus();
  }

  absl::Status WatchFiles() {
    if (!author_.path.empty()) RETURN_IF_ERROR(watch_.Add(author_.path));
    if (options_.attach) return absl::OkStatus();  // the program is the author's to start
    return WatchCommand(watch_, command_);
  }

  // ---- What happens ----

  void OnEvent(const v1::Event& event) {
    narrator_.Change(event);
    if (event.type() == "configured" || event.type() == "settings-refused")
      return OnSettings(event);
    switch (event.to()) {
      case Plugin::READY:
        return OnReady(event);
      case Plugin::BACKOFF:
      case Plugin::QUARANTINED:
      case Plugin::FAILED:
        return OnTrouble(event);
      case Plugin::STOPPED:
        return OnStopped();
      default:
        return;
    }
  }

  void OnReady(const v1::Event& event) {
    // A plugin that takes no settings while it runs is replaced for them.
    for (std::optional<UnderWay>* each : {&swap_, &reload_}) {
      if (!*each || event.sequence() < (*each)->from_sequence) continue;
      narrator_.Praise(
          fmt::format("{} in {}", (*each)->done, Milliseconds(clock_.Now() - (*each)->began)));
      each->reset();
    }
    if (std::exchange(introduced_, true)) return;
    narrator_.Praise(
        fmt::format("{} is READY after {}", name_, Milliseconds(clock_.Now() - started_at_)));
    narrator_.Fact("address", Get().address());
    narrator_.Fact("try", ExampleCall(*connection_, name_));
    narrator_.Fact("status",
                   fmt::format("pluginctl --socket {} status {}", connection_->socket(), name_));
  }

  void OnTrouble(const v1::Event& event) {
    if (ending_) return;
    if (swap_ && event.sequence() >= swap_->from_sequence) swap_.reset();
    const Plugin plugin = Get();
    const v1::LastExit& exit = plugin.last_exit();
    // The relay has ended with the plugin that it stood for, and the next one waits already.
    if (options_.attach && event.to() == Plugin::BACKOFF && exit.code() == 0 && exit.signal() == 0)
      return narrator_.Say("it may be started again");
    // Each death once: it goes from BACKOFF to QUARANTINED without another.
    if (plugin.has_last_exit() && exit.instance() != shown_exit_) {
      shown_exit_ = exit.instance();
      narrator_.Fail(
          fmt::format("{} (pid {}) ended: {}", name_, exit.pid(), Printable(exit.reason())));
      narrator_.Tail(exit.stderr_tail());
    }
    if (event.to() == Plugin::BACKOFF) return;
    narrator_.Fail(
        fmt::format("{} is {}: {}", name_, StateName(event.to()), Printable(event.reason())));
    if (options_.watch) {
      narrator_.Say("waiting for a change");
    } else {
      End(ExitCode::kFailed);
    }
  }

  void OnStopped() {
    if (ending_ || swap_) return;
    narrator_.Say(fmt::format("{} has finished", name_));
    if (options_.watch) {
      narrator_.Say("waiting for a change");
    } else {
      End(ExitCode::kDone);
    }
  }

  void OnFiles(std::set<std::string> paths) {
    if (ending_) return;
    if (paths.erase(environment_) > 0) ShowEnvironment();
    if (paths.empty()) return;
    const bool settings = paths.contains(author_.path);
    if (paths.size() > (settings ? 1U : 0U)) {
      // The settings are read at the start as well.
      if (settings) (void)TakeSettings();
      return Swap(
          *std::ranges::find_if(paths, [&](const auto& path) { return path != author_.path; }));
    }
    if (settings && TakeSettings()) Reload();
  }

  // Once, unless the author's file changes it: it is the same for each start of the plugin, but for
  // the number of that.
  void ShowEnvironment() {
    const auto exports = ReadFile(environment_);
    if (!exports.ok()) return narrator_.Fail(Message(exports.status()));
    std::istringstream lines(*exports);
    std::string shown;
    std::string lasting;
    for (std::string line; std::getline(lines, line);) {
      shown += shown.empty() ? line : '\n' + line;
      if (!line.starts_with("export PLUGIND_INSTANCE=")) lasting += line + '\n';
    }
    if (std::exchange(environment_shown_, lasting) == lasting) return;
    narrator_.Say("in another terminal, or by \". " + environment_ + "\":");
    narrator_.Say(shown);
    narrator_.Say(fmt::format("and then, under a debugger or without: {}",
                              Printable(fmt::format("{}", fmt::join(command_, " ")))));
  }

  // False: they have errors, or say what they said before.
  bool TakeSettings() {
    absl::StatusOr<std::string> text = ReadFile(author_.path);
    if (!text.ok()) {
      narrator_.Warn(Message(text.status()));
      return false;
    }
    if (*text == author_.text) return false;
    author_.text = *std::move(text);
    const PrivateFile before = private_;
    if (WritePluginFile()) return true;
    narrator_.Warn("the settings before stay");
    private_ = before;
    if (const absl::Status restored = WriteFile(plugin_file_, private_.text); !restored.ok())
      narrator_.Fail(Message(restored));
    return false;
  }

  void Swap(const std::string& path) {
    narrator_.Say(fmt::format("{} has changed", Printable(fs::path(path).filename().string())));
    v1::RestartPluginRequest request;
    request.set_name(name_);
    v1::RestartPluginResponse response;
    const Instant began = clock_.Now();
    const grpc::Status status = connection_->Call(&Stub::RestartPlugin, request, &response);
    if (!status.ok()) return narrator_.Fail(Printable(status.error_message()));
    swap_ = {response.event_sequence(), began, "swapped"};
  }

  void Reload() {
    narrator_.Say(
        fmt::format("{} has changed", Printable(fs::path(author_.path).filename().string())));
    v1::ReloadResponse response;
    const Instant began = clock_.Now();
    const grpc::Status status = connection_->Call(&Stub::Reload, v1::ReloadRequest(), &response);
    if (!status.ok()) return ShowRefusedFile(status);
    if (std::ranges::find(response.changed(), name_) != response.changed().end()) {
      swap_ = {response.event_sequence(), began, "restarted with it"};
    } else if (std::ranges::find(response.updated(), name_) != response.updated().end()) {
      reload_ = {response.event_sequence(), began, "restarted with it"};
      narrator_.Say("taken over by plugind");
    } else {
      narrator_.Say("nothing in it that counts");
    }
  }

  void ShowRefusedFile(const grpc::Status& status) {
    for (const auto& [place, what] : ParseDetails(status).violations)
      narrator_.Fail(fmt::format("{}: {}", InHisWords(place), Printable(what)));
    narrator_.Fail(Printable(status.error_message()));
    narrator_.Warn("the settings before stay");
  }

  // The plugin is asked after the reload was answered.
  void OnSettings(const v1::Event& event) {
    if (!reload_ || event.sequence() < reload_->from_sequence) return;
    if (event.type() == "configured") {
      narrator_.Praise(fmt::format("settings in force in {}, without a restart",
                                   Milliseconds(clock_.Now() - reload_->began)));
    } else {
      narrator_.Fail(fmt::format("{} refuses the settings: {}", name_, Printable(event.reason())));
      narrator_.Warn("the settings before stay");
    }
    reload_.reset();
  }

  // ---- The end ----

  void OnInterrupt() {
    if (!daemon_) return loop_.Stop();
    if (std::exchange(ending_, true)) {
      narrator_.Warn("at once");
    } else {
      narrator_.Say("stopping");
    }
    daemon_->Stop();
  }

  void End(ExitCode code) {
    code_ = code;
    if (!std::exchange(ending_, true)) daemon_->Stop();
  }

  void OnDaemonEnd() {
    loop_.Unwatch(daemon_->pidfd());
    const std::string how = daemon_->Reap();
    events_.reset();
    logs_.reset();
    if (!ending_) {
      narrator_.Fail(fmt::format("plugind {}; the end of its own log:", how));
      if (const auto log = ReadFile(folder_->path() + "/plugind.log"); log.ok())
        narrator_.Tail(*log);
      code_ = ExitCode::kFailed;
    }
    // After what the feeds have posted.
    loop_.Post([this] { loop_.Stop(); });
  }

  // As it is now; empty if plugind is away.
  Plugin Get() {
    v1::GetPluginRequest request;
    request.set_name(name_);
    v1::GetPluginResponse response;
    const grpc::Status status = connection_->Call(&Stub::GetPlugin, request, &response);
    if (!status.ok()) narrator_.Warn(Printable(status.error_message()));
    return response.plugin();
  }

  // What was asked for and is not done yet.
  struct UnderWay {
    uint64_t from_sequence;
    Instant began;
    std::string done;
  };

  const PluginRunOptions& options_;
  Narrator narrator_;
  SystemClock clock_;
  EventLoop loop_;
  FileWatch watch_;
  WakeOnSignal signals_;

  std::vector<std::string> command_;
  AuthorFile author_;
  PrivateFile private_;
  std::vector<std::string> relay_;  // with --attach, what plugind runs
  std::string environment_;         // … and the file with the environment that it was given
  std::string name_;
  std::string plugind_;
  std::optional<ScratchFolder> folder_;
  std::string plugin_file_;

  std::optional<PrivateDaemon> daemon_;
  std::optional<Connection> connection_;
  std::unique_ptr<EventFeed> events_;
  std::unique_ptr<LogFeed> logs_;
  Instant started_at_{};
  std::optional<UnderWay> swap_;    // a stop and a start, until it is READY again
  std::optional<UnderWay> reload_;  // new settings, until the plugin has said what it makes of them
  std::string shown_exit_;          // the instance whose end was shown last
  std::string environment_shown_;   // what of it stays from one start of the plugin to the next
  bool introduced_ = false;
  bool ending_ = false;
  ExitCode code_ = ExitCode::kDone;
};

}  // namespace

ExitCode RunPluginRun(const Terminal& terminal, const PluginRunOptions& options) {
  return Session(terminal, options).Run();
}

}  // namespace plugind::pluginctl
