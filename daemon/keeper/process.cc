#include "daemon/keeper/process.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "daemon/keeper/proc.h"

namespace plugind::keeper {
namespace {

using std::chrono::milliseconds;

// Between two looks at a tree that is followed through /proc and was not empty: doubling, for a
// fork bomb's sake.
constexpr Duration kFirstPause = milliseconds(1);
constexpr Duration kLongestPause = milliseconds(50);
// A tree that outlives SIGKILL for so long is reported as stuck, and then tried again at this pace.
constexpr Duration kGiveUp = std::chrono::seconds(5);
constexpr Duration kStuckPause = std::chrono::seconds(1);
// From the news of a death to the sweep of its tree, unless plugind asks for it sooner, as it does
// when it has passed the news on. It is often woken on the CPU on which this process runs, and a
// sweep takes 0.25 ms.
constexpr Duration kNewsFirst = milliseconds(1);
// How soon to look again whether a dead process that a debugger traces may be reaped.
constexpr Duration kTracedPause = milliseconds(50);

#if defined(PLUGIND_FAILPOINTS)
// Simulates a tree that cannot be killed: while this file exists, no SIGKILL is sent to that
// plugin's trees.
bool IsUnkillable(const std::string& plugin) {
  const char* directory = std::getenv("PLUGIND_FAILPOINT_DIR");
  if (directory == nullptr) return false;
  const std::string path = std::string(directory) + "/keeper.unkillable." + plugin;
  return ::access(path.c_str(), F_OK) == 0;
}
constexpr Duration kGiveUpUnkillable = milliseconds(500);
#else
constexpr bool IsUnkillable(const std::string&) { return false; }
constexpr Duration kGiveUpUnkillable = kGiveUp;
#endif

ino_t InodeOf(const UniqueFd& fd) {
  struct stat status {};
  return ::fstat(fd.get(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace

Process::Process(const Host& host, const SpawnCommand& command, const UniqueFd& executable)
    : host_(host),
      id_(command.spec.id),
      plugin_(command.spec.plugin),
      reap_again_(host.loop.timers()),
      pursue_again_(host.loop.timers()) {
  if (command.has_executable && !executable.valid()) {
    // It was sent, and there was no number left for it. What lies at the path may be another file
    // by now.
    failure_ = {SpawnStep::kExec, EMFILE};
    stage_ = Stage::kFailed;
    return;
  }
  const UniqueFd cgroup = host.cgroup != nullptr ? host.cgroup->MakeTree(id_) : UniqueFd();
  auto launched = Launch(command.spec, executable, cgroup, host.launch, &failure_);
  in_cgroup_ = launched && launched->in_cgroup;
  if (cgroup.valid() && !in_cgroup_) host.cgroup->RemoveTree(id_);
  if (!launched) {
    stage_ = Stage::kFailed;
    return;
  }
  pid_ = launched->pid;
  holds_pid_ = true;
  pidfd_ = std::move(launched->pidfd);
  stdout_ = std::move(launched->stdout_pipe);
  stderr_ = std::move(launched->stderr_pipe);
  failure_pipe_ = std::move(launched->failure_pipe);
  host.loop.Watch(pidfd_.get(), EPOLLIN, [this](uint32_t) { OnDeath(); });
  host.loop.Watch(failure_pipe_.get(), EPOLLIN, [this](uint32_t) { OnFailurePipe(); });
}

Process::~Process() {
  for (const UniqueFd* fd : {&pidfd_, &failure_pipe_, &cgroup_events_}) {
    if (fd->valid()) host_.loop.Unwatch(fd->get());
  }
}

void Process::OnFailurePipe() {
  LaunchFailure failure;
  const Progress progress = ReadFailure(failure_pipe_, &failure);
  if (progress == Progress::kUnderWay) return;
  TakeProgress(progress, failure);
  host_.changed(*this);
}

void Process::TakeProgress(Progress progress, const LaunchFailure& failure) {
  host_.loop.Unwatch(failure_pipe_.get());
  failure_pipe_.reset();
  if (progress == Progress::kFailed) {
    stage_ = Stage::kFailed;
    failure_ = failure;
    stdout_.reset();
    stderr_.reset();
  } else {
    stage_ = Stage::kRunning;
  }
}

void Process::OnDeath() {
  siginfo_t info{};
  // The dead main process is left unreaped: its number, and so its session and group, stay its own
  // while the rest of the tree is being found by them.
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
      info.si_pid == 0) {
    // Dead, but whoever traces it has to take note first, and the pidfd would not stop saying so.
    host_.loop.Unwatch(pidfd_.get());
    reap_again_.Set(host_.loop.clock().Now() + kTracedPause, [this] { OnDeath(); });
    return;
  }
  host_.loop.Unwatch(pidfd_.get());
  pidfd_.reset();
  if (stage_ == Stage::kStarting) {
    LaunchFailure failure;
    const Progress progress = ReadFailure(failure_pipe_, &failure);
    // Nothing to read, though it is dead: a sibling holds the pipe for a moment more. It wrote
    // nothing, so it executed.
    TakeProgress(progress == Progress::kUnderWay ? Progress::kExecuted : progress, failure);
  }
  if (stage_ == Stage::kFailed) {
    Reap();
    if (in_cgroup_) host_.cgroup->RemoveTree(id_);
    host_.changed(*this);
    return;
  }
  stage_ = Stage::kExited;
  exited_at_ = host_.loop.clock().Now();
  if (info.si_code == CLD_EXITED) {
    status_.code = info.si_status;
  } else {
    status_.signal = info.si_status;
    status_.core = info.si_code == CLD_DUMPED;
  }
  if (in_cgroup_) {
    status_.oom = status_.signal == SIGKILL && host_.cgroup->HasOomKill(id_);
  }
  host_.changed(*this);
  pursue_again_.Set(exited_at_ + kNewsFirst, [this] { Pursue(); });
}

void Process::Reap() {
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG);
  holds_pid_ = false;
}

void Process::Signal(int signal) {
  if (stage_ != Stage::kStarting && stage_ != Stage::kRunning) return;
  // Before its setsid the child has no group of its own.
  if (::kill(-pid_, signal) < 0) ::kill(pid_, signal);
}

void Process::KillTree() {
  if (stage_ == Stage::kGone || stage_ == Stage::kFailed) return;
  Pursue();
}

void Process::Pursue() {
  const Instant now = host_.loop.clock().Now();
  // Without a cgroup its number is needed until its tree is gone.
  if (in_cgroup_ && stage_ == Stage::kExited && holds_pid_) Reap();
  if (!pursued_since_) {
    pursued_since_ = now;
    pause_ = kFirstPause;
  }
  const bool spare = IsUnkillable(plugin_);
  std::vector<int> remaining;
  bool left = false;
  if (in_cgroup_) {
    left = KillThroughCgroup(spare);
  } else {
    remaining = KillThroughProc(spare);
    left = !remaining.empty();
  }
  if (!left && stage_ == Stage::kExited) return Finish();

  const Instant give_up = *pursued_since_ + (spare ? kGiveUpUnkillable : kGiveUp);
  if (now >= give_up) {
    if (in_cgroup_) remaining = host_.cgroup->Pids(id_);
    remaining.resize(std::min(remaining.size(), kMaxStuckPids));
    remaining_ = std::move(remaining);
    stuck_ = true;
    pursue_again_.Set(now + kStuckPause, [this] { Pursue(); });
  } else {
    // A cgroup tells when it is empty, and a main process when it is dead; only /proc has to be
    // looked at again.
    const Instant next = cgroup_events_.valid() ? give_up : std::min(now + pause_, give_up);
    pause_ = std::min(pause_ * 2, kLongestPause);
    pursue_again_.Set(next, [this] { Pursue(); });
  }
  host_.changed(*this);
}

bool Process::KillThroughCgroup(bool spare) {
  const bool first = !cgroup_events_.valid();
  if (first) cgroup_events_ = host_.cgroup->OpenEvents(id_);
  // Removed by someone else, which the kernel allows only when it is empty; or there is no fd left
  // for it just now.
  if (!cgroup_events_.valid()) return errno != ENOENT;
  // Nothing can come into an empty one but by forking from it.
  if (!Cgroup::IsPopulated(cgroup_events_)) return false;
  if (!spare) host_.cgroup->KillTree(id_);
  if (first) host_.loop.Watch(cgroup_events_.get(), EPOLLPRI, [this](uint32_t) { Pursue(); });
  return Cgroup::IsPopulated(cgroup_events_);
}

std::vector<int> Process::KillThroughProc(bool spare) {
  // All that is left of the tree descends from the main process, or, when it or a process in
  // between is dead, from an orphan that the kernel made our child.
  const int self = ::getpid();
  const TreeMarks marks{pid_, id_, {InodeOf(stdout_), InodeOf(stderr_)}};
  std::vector<int> roots;
  if (stage_ != Stage::kExited) roots.push_back(pid_);
  for (const int child : ChildrenOf(self)) {
    if (host_.is_known(child)) continue;
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG);
    if (info.si_pid != 0) continue;  // a dead orphan, reaped
    if (BearsMarks(child, marks)) roots.push_back(child);
  }
  std::vector<int> pids;
  for (const Descendant& member : WithDescendants(roots)) {
    if (StatOf(member.pid).state == 'Z')
      continue;  // dead; its parent, another member, has not noticed
    pids.push_back(member.pid);
    if (!spare) KillDescendant(member);
  }
  return pids;
}

void Process::Finish() {
  stage_ = Stage::kGone;
  pursue_again_.Clear();
  if (holds_pid_) Reap();
  if (cgroup_events_.valid()) {
    host_.loop.Unwatch(cgroup_events_.get());
    cgroup_events_.reset();
  }
  if (in_cgroup_) host_.cgroup->RemoveTree(id_);
  host_.changed(*this);
}

void Process::Forget() {
  forgotten_ = true;
  stdout_.reset();
  stderr_.reset();
  host_.changed(*this);
}

bool Process::finished() const {
  if (holds_pid_) return false;
  if (stage_ == Stage::kFailed) return forgotten_ || told_ == Stage::kFailed;
  return stage_ == Stage::kGone && forgotten_;
}

std::optional<Outgoing> Process::NextReport() const {
  if (forgotten_ || told_ == Stage::kFailed) return std::nullopt;
  if (stage_ == Stage::kFailed) {
    return Outgoing{SpawnFailedReport{id_, failure_.step, failure_.error}};
  }
  if (told_ == Stage::kStarting && stage_ >= Stage::kRunning) {
    return Outgoing{SpawnedReport{id_, pid_}, stdout_.get(), stderr_.get()};
  }
  if (told_ == Stage::kRunning && stage_ >= Stage::kExited) {
    return Outgoing{ExitedReport{id_, status_, exited_at_.time_since_epoch().count()}};
  }
  if (stuck_ && !told_stuck_ && stage_ != Stage::kGone) {
    return Outgoing{StuckReport{id_, {remaining_.begin(), remaining_.end()}}};
  }
  if (told_ == Stage::kExited && stage_ == Stage::kGone) return Outgoing{GoneReport{id_}};
  return std::nullopt;
}

void Process::Told(const Report& report) {
  if (std::holds_alternative<SpawnFailedReport>(report)) told_ = Stage::kFailed;
  if (std::holds_alternative<SpawnedReport>(report)) told_ = Stage::kRunning;
  if (std::holds_alternative<ExitedReport>(report)) told_ = Stage::kExited;
  if (std::holds_alternative<GoneReport>(report)) told_ = Stage::kGone;
  if (std::holds_alternative<StuckReport>(report)) told_stuck_ = true;
}

std::optional<Outgoing> Process::Adoption() const {
  if (forgotten_ || stage_ == Stage::kFailed) return std::nullopt;
  AdoptedReport report;
  report.id = id_;
  report.plugin = plugin_;
  report.pid = pid_;
  report.exited = stage_ == Stage::kExited || stage_ == Stage::kGone;
  report.gone = stage_ == Stage::kGone;
  if (report.exited) {
    report.status = status_;
    report.exited_at_ns = exited_at_.time_since_epoch().count();
  }
  return Outgoing{std::move(report), stdout_.get(), stderr_.get()};
}

void Process::ToldByAdoption() {
  // One that is still on its way to its exec was handed over as running; if it fails, that is told.
  // One that failed before anyone was told is not handed over, and is not mentioned any more.
  told_ = stage_ == Stage::kStarting ? Stage::kRunning : stage_;
  told_stuck_ = false;
}

}  // namespace plugind::keeper
