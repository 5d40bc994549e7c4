#include "daemon/plugind/daemon.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <utility>

#include "daemon/base/codec.h"
#include "daemon/base/failpoint.h"
#include "daemon/config/quantity.h"
#include "daemon/control/convert.h"
#include "daemon/plugind/call_report.h"
#include "daemon/plugind/lock.h"
#include "daemon/plugind/own_log.h"

namespace plugind {
namespace {

constexpr size_t kEventBytes = size_t{1} * 1024 * 1024;  // some thousands of events
// What outlives this process, by the name under which the keeper keeps it.
constexpr char kEventsFd[] = "events";
constexpr char kStateLockFd[] = "state.lock";
constexpr char kStartedRecord[] = ":started";  // no plugin's name begins so

constexpr int kExitFailure = 1;
constexpr int kExitConfig = 78;  // EX_CONFIG

// Pipes, sockets and logs of some hundred plugins: more than the usual soft limit of 1,024. Plugins
// get the keeper's own.
void RaiseFdLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

UniqueFd Take(std::map<std::string, UniqueFd>& fds, const char* name) {
  auto node = fds.extract(name);
  return node ? std::move(node.mapped()) : UniqueFd();
}

}  // namespace

Daemon::Daemon(Paths paths)
    : paths_(std::move(paths)),
      loop_(clock_),
      started_at_(clock_.WallNow()),
      counting_since_(clock_.Now()),
      audit_(paths_.state_dir + "/audit.log", clock_,
             [this](const std::string& trouble) { log_->Error(trouble); }),
      denials_(loop_, audit_, [this]() -> observe::Logger& { return *log_; }),
      call_log_(loop_, [this]() -> observe::Logger& { return *log_; }),
      service_manager_(loop_) {}

Daemon::~Daemon() = default;

int Daemon::Run(UniqueFd keeper_socket) {
  if (const absl::Status ready = SetUp(std::move(keeper_socket)); !ready.ok()) {
    log_->Error(Message(ready));
    return absl::IsInvalidArgument(ready) ? kExitConfig : kExitFailure;
  }
  loop_.Run();
  watchdog_.reset();
  // Whoever is connected is told that this is the end; then there is nobody left to talk to.
  metrics_.reset();
  control_.reset();
  front_door_.reset();
  supervisor_.reset();
  clients_.reset();
  denials_.Flush();
  log_->Info("plugind has stopped");
  return 0;
}

absl::Status Daemon::SetUp(UniqueFd keeper_socket) {
  ConfigureLog(config::DaemonConfig());
  RaiseFdLimit();
  WatchSignals();
  Inheritance inheritance;
  std::string error;
  keeper_ = keeper::Client::Connect(std::move(keeper_socket), loop_, &inheritance, &error);
  if (keeper_ == nullptr) return Error(absl::StatusCode::kUnavailable, "the keeper: {}", error);
  Failpoint("start.connected");
  generation_ = inheritance.generation;
  cgroup_ = inheritance.cgroup;
  RememberStart(inheritance);

  config::Config config;
  configuration_ = std::make_unique<Configuration>(paths_, *keeper_, clock_,
                                                   [this]() -> observe::Logger& { return *log_; });
  RETURN_IF_ERROR(configuration_->Begin(Take(inheritance.fds, Configuration::kKeptAs), &config));
  ConfigureLog(config.daemon);
  if (UniqueFd lock = Take(inheritance.fds, kStateLockFd); !lock.valid()) {
    ASSIGN_OR_RETURN(lock, TakeLock(paths_.state_dir));
    keeper_->KeepFd(kStateLockFd, lock);
  }
  // Plugins run without it; changes and who made them do not, until it can be written again.
  if (const absl::Status opened = audit_.Reopen(); !opened.ok())
    log_->Error("there is no audit log", {{"cause", Message(opened)}});
  RETURN_IF_ERROR(OpenDecisions());
  RETURN_IF_ERROR(OpenEvents(inheritance));
  front_door_ = std::make_unique<FrontDoor>(
      FrontDoor::Parts{loop_,
                       *keeper_,
                       paths_.runtime_dir,
                       [this](UniqueFd connection) { control_->Serve(std::move(connection)); },
                       [this](const std::string& instance) { supervisor_->OnDrained(instance); },
                       [this](const std::string& trouble) { log_->Error(trouble); },
                       {[this](const gateway::Denied& denied) {
                          denials_.Tell({denied.caller, denied.pid, denied.method, denied.plugin,
                                         denied.reason});
                        },
                        [this](const gateway::CallEnd& end) { call_log_.Ended(end); }}},
      config.daemon);
  RETURN_IF_ERROR(front_door_->Open(inheritance.fds));

  clients_ = std::make_unique<rpc::GrpcPluginClientFactory>(loop_);
  auto random = std::make_shared<std::mt19937_64>(std::random_device{}());
  supervisor_ = std::make_unique<supervisor::Supervisor>(supervisor::Supervisor::Parts{
      loop_, *keeper_, *clients_, *events_, *decisions_,
      supervisor::Directories{paths_.runtime_dir, paths_.state_dir},
      [this](const config::PluginConfig& plugin, const std::string& published) {
        return configuration_->LearnSchema(plugin, published);
      },
      [this](const std::string& plugin, const std::string& instance) {
        return front_door_->OpenHost(plugin, instance);
      },
      [this](const std::string& instance) { front_door_->CloseHost(instance); },
      [this](const std::string& plugin, const std::string& instance) {
        front_door_->Drain(plugin, instance);
      },
      [random] { return std::uniform_real_distribution<double>(0, 1)(*random); },
      [this] { control_->Poke(); }, [this](const std::string& trouble) { log_->Error(trouble); }});
  control_ = std::make_unique<control::ControlServer>(control::DaemonParts{
      loop_, *supervisor_, *events_,
      [this](const std::string& name, config::Diff* diff) { return Reload(name, diff); },
      [this](control::v1::GetDaemonInfoResponse* info) { Describe(info); },
      [this](const std::string& plugin) { return front_door_->AddressOf(plugin); }, audit_,
      [this](const observe::Denial& denial) { denials_.Tell(denial); },
      [this](const std::string& plugin, control::v1::ListCallsResponse* calls) {
        FillCalls(front_door_->Calls(), plugin, calls);
        control::Fill(started_at_, calls->mutable_since());
        FillDuration(clock_.Now() - counting_since_, calls->mutable_elapsed());
      }});
  events_->OnAppended([this] { TellEvents(); });

  if (generation_ > 0) {
    log_->Warn("plugind was started again by its keeper",
               {{"generation", generation_}, {"processes", inheritance.processes.size()}});
  }
  const bool stopping = inheritance.stopping;
  supervisor_->Start(std::move(config), std::move(inheritance));
  Failpoint("start.adopted");
  keeper_->Observe(*supervisor_);
  front_door_->Begin(*supervisor_);
  metrics_ = std::make_unique<MetricsServer>(MetricsServer::Parts{
      loop_, *supervisor_, [this] { return front_door_->Calls(); }, [this] { return Figures(); }});
  ListenForMetrics();
  keeper_->Ready();
  if (stopping) {
    BeginShutdown();
  } else {
    log_->Info("plugind is ready",
               {{"socket", paths_.runtime_dir + "/plugind.sock"},
                {"plugins", supervisor_->config().plugins.size()},
                {"cgroup", cgroup_.empty() ? std::string_view("none is writable") : cgroup_}});
    service_manager_.Ready();
    TellStatus();
  }
  service_manager_.StartWatchdog();
  WatchLoop();
  return absl::OkStatus();
}

// The daemon as a whole began with the first process of it under this keeper.
void Daemon::RememberStart(Inheritance& inheritance) {
  daemon_started_at_ = started_at_;
  if (const auto record = inheritance.records.extract(kStartedRecord)) {
    daemon_started_at_ = WallTime(Duration(Reader(record.mapped()).Get<Duration::rep>()));
    return;
  }
  keeper_->PutRecord(kStartedRecord, Writer().Put(started_at_.time_since_epoch().count()).bytes());
}

void Daemon::ConfigureLog(const config::DaemonConfig& config) {
  log_ = OpenLog(config);
  call_log_.SetLevel(log_->level());
}

// ── Configuration

grpc::Status Daemon::Reload(const std::string& name, config::Diff* diff) {
  service_manager_.Reloading();
  std::optional<Configuration::Reading> reading =
      configuration_->ReadAgain(name, supervisor_->config());
  if (!reading) {
    service_manager_.Ready();
    return control::ToGrpc(supervisor_->Get(name).status());
  }
  config::LoadResult& loaded = reading->loaded;
  for (const auto& note : loaded.notes) log_->Info(note.ToString());
  if (!loaded.ok()) {
    for (const auto& problem : loaded.problems) log_->Error(problem.ToString());
    log_->Error("the configuration was not reloaded; the running one stays as it is",
                {{"errors", loaded.problems.size()}});
    service_manager_.Ready();
    return control::ConfigInvalid(loaded.problems);
  }
  const config::DaemonConfig& now = supervisor_->config().daemon;
  const config::DaemonConfig& next = loaded.config.daemon;
  if (now.gateway_threads != next.gateway_threads || now.gateway_limits != next.gateway_limits) {
    log_->Warn("the gateway's threads and limits change when plugind is started again");
  }
  // Kept before it is applied: a successor must not undo what has begun.
  configuration_->Keep(std::move(reading->sources));
  ConfigureLog(loaded.config.daemon);
  *diff = supervisor_->Apply(std::move(loaded.config));
  front_door_->Refresh(*supervisor_, "");
  ListenForMetrics();
  WatchLoop();
  log_->Info("the configuration was reloaded", {{"added", diff->added.size()},
                                                {"removed", diff->removed.size()},
                                                {"changed", diff->changed.size()},
                                                {"updated", diff->updated.size()},
                                                {"unchanged", diff->unchanged.size()}});
  service_manager_.Ready();
  TellStatus();
  return grpc::Status::OK;
}

// ── State that outlives the process

absl::Status Daemon::OpenDecisions() {
  auto state = supervisor::OperatorState::Load(paths_.state_dir);
  if (absl::IsDataLoss(state.status())) {
    log_->Error("operators' decisions are lost: the damaged file is moved aside and all begin anew",
                {{"cause", Message(state.status())}});
    state = supervisor::OperatorState::SetAsideAndBegin(paths_.state_dir);
  }
  if (!state.ok()) return state.status();
  decisions_ = std::make_unique<supervisor::OperatorState>(*std::move(state));
  return absl::OkStatus();
}

absl::Status Daemon::OpenEvents(Inheritance& inheritance) {
  if (UniqueFd memory = Take(inheritance.fds, kEventsFd); memory.valid()) {
    auto reopened = observe::EventLog::Reopen(std::move(memory), clock_);
    if (reopened.ok()) {
      events_ = *std::move(reopened);
      told_ = events_->next_sequence();
      return absl::OkStatus();
    }
    log_->Error("the events so far are lost", {{"cause", Message(reopened.status())}});
  }
  ASSIGN_OR_RETURN(events_, observe::EventLog::Create(kEventBytes, clock_));
  keeper_->KeepFd(kEventsFd, events_->memory());
  return absl::OkStatus();
}

// ── Signals and the end

void Daemon::WatchSignals() {
  // Before any thread is started, so that every one inherits the mask and only this fd sees them.
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a limit on files' size is an error of a write, not a death
  signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  loop_.Watch(signals_.get(), EPOLLIN, [this](uint32_t) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      OnSignal(info);
    }
  });
}

void Daemon::OnSignal(const signalfd_siginfo& info) {
  if (info.ssi_signo == SIGHUP) return OnHangUp(static_cast<int>(info.ssi_pid));
  if (stopping_) {
    log_->Warn("asked twice to stop: killing what is left");
    supervisor_->Hasten();
    return;
  }
  BeginShutdown();
}

void Daemon::OnHangUp(int sender) {
  denials_.Flush();  // where they belong in time
  if (const absl::Status opened = audit_.Reopen(); !opened.ok())
    log_->Error("the audit log was not opened again", {{"cause", Message(opened)}});
  if (stopping_) return;
  const auto begun = audit_.Begin({"signal", sender, "SIGHUP", ""});
  if (!begun.ok()) {
    log_->Error("the configuration was not reloaded, because the audit log cannot be written",
                {{"cause", Message(begun.status())}});
    return;
  }
  config::Diff diff;
  const grpc::Status done = Reload("", &diff);  // what is wrong with it has been logged
  audit_.End(*begun, control::CodeName(done.error_code()), done.error_message());
}

void Daemon::BeginShutdown() {
  stopping_ = true;
  log_->Info("plugind is stopping");
  service_manager_.Stopping();
  supervisor_->Shutdown([this] {
    front_door_->Close();
    loop_.Stop();
  });
}

// ── What others are told

void Daemon::TellEvents() {
  constexpr size_t kAtOnce = 64;
  while (told_ < events_->next_sequence()) {
    for (const auto& event : events_->Read(told_, kAtOnce)) {
      told_ = event.sequence + 1;
      front_door_->Refresh(*supervisor_, event.plugin);
      LogEvent(*log_, event);
    }
  }
  control_->Poke();
  TellStatus();
}

void Daemon::TellStatus() {
  size_t ready = 0;
  size_t trouble = 0;
  size_t all = 0;
  supervisor_->CountStates([&](supervisor::State state) {
    ++all;
    if (state == supervisor::State::kReady) ++ready;
    if (state == supervisor::State::kFailed || state == supervisor::State::kQuarantined) ++trouble;
  });
  service_manager_.Status(
      fmt::format("{} of {} plugins ready{}", ready, all,
                  trouble > 0 ? fmt::format(", {} failed or quarantined", trouble) : ""));
}

// The keeper starts it again, and no plugin notices. A service manager's own watchdog, which should
// have more patience, would take the plugins along.
void Daemon::WatchLoop() {
  watchdog_.reset();
  watchdog_.emplace(
      loop_, supervisor_->config().daemon.watchdog, [config = supervisor_->config().daemon] {
        // A log of its own: the loop may hold the other's lock.
        OpenLog(config)->Error(
            "the loop has stood still for longer than daemon.watchdog allows: ending, "
            "to be started again",
            {{"watchdog", config::ToString(config.watchdog)}});
        std::abort();
      });
}

void Daemon::ListenForMetrics() {
  const std::string before = metrics_->address();
  const std::string& wanted = supervisor_->config().daemon.metrics_listen;
  if (const absl::Status listening = metrics_->Listen(wanted); !listening.ok()) {
    log_->Warn("no metrics and no probes are served; the next reload tries again",
               {{"listen", wanted}, {"cause", Message(listening)}});
  } else if (!metrics_->address().empty() && metrics_->address() != before) {
    log_->Info("metrics and probes are served", {{"listen", metrics_->address()}});
  }
}

DaemonFigures Daemon::Figures() const {
  return {.version = PLUGIND_VERSION,
          .daemon_started_at = daemon_started_at_,
          .process_started_at = started_at_,
          .config_loaded_at = configuration_->loaded_at(),
          .generation = generation_,
          .log_lines_dropped = log_->dropped_lines(),
          .process = observe::ReadProcessFigures()};
}

void Daemon::Describe(control::v1::GetDaemonInfoResponse* info) const {
  info->set_version(PLUGIND_VERSION);
  info->set_pid(::getpid());
  info->set_keeper_pid(::getppid());
  control::Fill(started_at_, info->mutable_started_at());
  control::Fill(daemon_started_at_, info->mutable_keeper_started_at());
  info->set_generation(generation_);
  info->set_config_file(paths_.config_file);
  info->set_runtime_dir(paths_.runtime_dir);
  info->set_state_dir(paths_.state_dir);
  info->set_cgroup(cgroup_);
  control::Fill(configuration_->loaded_at(), info->mutable_config_loaded_at());
  const Duration uptime = clock_.WallNow() - daemon_started_at_;
  info->mutable_uptime()->set_seconds(
      std::chrono::duration_cast<std::chrono::seconds>(uptime).count());
}

}  // namespace plugind
