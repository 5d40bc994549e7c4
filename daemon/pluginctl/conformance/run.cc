#include "daemon/pluginctl/conformance/run.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "daemon/pluginctl/conformance/bench.h"

namespace plugind::pluginctl::conformance {
namespace {

// Plugins that start at the same time slow each other down, and deadlines run for all of them.
constexpr size_t kAtATime = 4;
// What a socket's path has to hold beside the root: "/12/i12/" and a name of the plugin's choice.
constexpr size_t kLongestRoot = 48;

struct Group {
  std::span<const Rule> rules;
  bool share;  // one bench for all, so in their order; else each has its own
};

// The handshake's come first, alone.
std::vector<Group> LaterGroups() {
  return {{ServingRules(), true},    {ConfigureRules(), true}, {EndRules(), false},
          {NegotiateRules(), false}, {StartRules(), false},    {OutputRules(), false}};
}

// The folder of all that a run makes, gone with it.
class Root {
 public:
  static absl::StatusOr<std::unique_ptr<Root>> Make() {
    const char* variable = std::getenv("TMPDIR");
    std::string base = variable == nullptr || *variable != '/' ? "/tmp" : variable;
    const std::string name = "/plugin-test-XXXXXX";
    if (base.size() + name.size() > kLongestRoot) base = "/tmp";
    std::string path = base + name;
    if (mkdtemp(path.data()) == nullptr) return ErrnoError(errno, path);
    return std::unique_ptr<Root>(new Root(path));
  }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  ~Root() {
    std::error_code ignored;  // a plugin may have made it impossible
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit Root(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

// What had left its plugin's session when its host was killed is a child of this process, which has
// no others.
void KillStrays() {
  for (bool found = true; found;) {
    found = false;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream children(task.path() / "children");
      for (pid_t child = 0; children >> child;) {
        kill(child, SIGKILL);
        found |= waitpid(child, nullptr, 0) == child;
      }
    }
  }
}

// Why there is nothing to check; empty: there is.
std::string Missing(const Rule& rule, const Facts& facts) {
  if (rule.needs == Needs::kNothing) return "";
  if (!facts.handshake.ok()) return "it does not get past the handshake";
  if (rule.level == Level::kContract && !facts.contract())
    return "it is at the floor: it does not serve plugind.plugin.v1.Plugin";
  if (rule.needs == Needs::kReady && !facts.introduced.ok())
    return "it does not get past Negotiate";
  if (rule.needs == Needs::kReady && !facts.serving.ok()) return "it is never SERVING";
  return "";
}

Result CheckOne(const Rule& rule, Bench& bench) {
  const auto begun = std::chrono::steady_clock::now();
  const std::string missing = Missing(rule, bench.facts());
  Finding finding = missing.empty() ? rule.check(bench) : Skipped(missing);
  const bool failed = finding.verdict == Verdict::kFailed;
  Result result{.rule = &rule, .finding = std::move(finding)};
  if (failed) {
    bench.DropShared();  // with it goes whatever the rule has left behind
    result.stderr_tail = bench.LastStderr();
    if (rule.level == Level::kAdvice) result.finding.verdict = Verdict::kPassed;
  }
  result.took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begun);
  return result;
}

}  // namespace

std::vector<const Rule*> AllRules() {
  std::vector<const Rule*> rules;
  for (const auto group : {StartRules(), HandshakeRules(), OutputRules(), ServingRules(),
                           NegotiateRules(), ConfigureRules(), EndRules()}) {
    for (const Rule& rule : group) rules.push_back(&rule);
  }
  return rules;
}

const Rule* FindRule(std::string_view id) {
  for (const Rule* rule : AllRules())
    if (rule->id == id) return rule;
  return nullptr;
}

absl::StatusOr<Report> Run(const Subject& subject, const std::vector<const Rule*>& only) {
  if (access(subject.command.front().c_str(), X_OK) != 0)
    return ErrnoError(errno, subject.command.front());
  // What a plugin leaves behind when its host is killed comes here, and is reaped.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto begun = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(const auto root, Root::Make());
  const auto wanted = [&](const Rule& rule) {
    return only.empty() || std::ranges::find(only, &rule) != only.end();
  };

  std::map<const Rule*, Result> results;
  Facts facts;
  {
    Bench bench(subject, facts, root->path(), root->path() + "/0");
    for (const Rule& rule : HandshakeRules()) {
      // No DropShared here: all of them look at the same line.
      if (!wanted(rule)) continue;
      const auto start = std::chrono::steady_clock::now();
      Result result{.rule = &rule, .finding = rule.check(bench)};
      if (result.finding.verdict == Verdict::kFailed) result.stderr_tail = bench.LastStderr();
      result.took =
          std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start);
      results.emplace(&rule, std::move(result));
    }
    facts = Learn(bench);
  }

  std::vector<std::vector<const Rule*>> strands;
  for (const Group& group : LaterGroups()) {
    if (group.share) strands.emplace_back();
    for (const Rule& rule : group.rules) {
      if (!wanted(rule)) continue;
      if (!group.share) strands.emplace_back();
      strands.back().push_back(&rule);
    }
  }
  std::mutex mutex;
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t mine = next++; mine < strands.size(); mine = next++) {
      Bench bench(subject, facts, root->path(), fmt::format("{}/{}", root->path(), mine + 1));
      for (const Rule* rule : strands[mine]) {
        Result result = CheckOne(*rule, bench);
        const std::lock_guard lock(mutex);
        results.emplace(rule, std::move(result));
      }
    }
  };
  std::vector<std::thread> workers;
  for (size_t i = 0; i < std::min(kAtATime, strands.size()); ++i) workers.emplace_back(work);
  for (std::thread& each : workers) each.join();
  KillStrays();

  Report report;
  report.plugin = subject.command.front();
  report.contract = facts.contract();
  for (const Rule* rule : AllRules())
    if (const auto found = results.find(rule); found != results.end())
      report.results.push_back(std::move(found->second));
  report.took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begun);
  return report;
}

}  // namespace plugind::pluginctl::conformance
