// A keeper without processes, for tests of the supervisor: it notes every command in order, keeps
// records and fds as the real one does, and its processes do what the test says. It outlives any
// number of plugindes: Inherit() gives the next one what the last one left, wherever that was
// killed.
//
// It also watches for what must never happen, whatever the test is about: two live processes of one
// plugin, and an effect that a successor of plugind could not know of, because it was not recorded
// before.
//
// Reports wait until the test delivers them, as they would in the socket. One thread.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/custody.h"
#include "daemon/supervisor/record.h"

namespace plugind::supervisor {

// Thrown out of a command: plugind was killed just before it. The test catches it and abandons that
// plugind.
struct PlugindKilled {};

// What the processes of one plugin do, from the next one on.
struct Habits {
  std::optional<std::pair<SpawnStep, int>> spawn_error;
  // Written to its stdout at once; {DIR} is its directory. Empty: nothing.
  std::string prints = "1|1|unix|{DIR}/p.sock|grpc\n";
  std::optional<ExitStatus> ends_at_once;
  bool obeys_sigterm = true;
  bool dies_of_sigkill = true;
  bool leaves_descendants = false;  // gone only when the test says so
};

struct FakeProcess {
  std::string id;
  std::string plugin;
  int pid = 0;
  UniqueFd stdout_reader, stdout_writer, stderr_reader, stderr_writer;
  std::optional<ExitStatus> exited;
  Instant exited_at;
  bool gone = false;
  std::vector<int> signals;
};

class FakeKeeper final : public Keeper {
 public:
  explicit FakeKeeper(const Clock& clock) : clock_(clock) {}

  // ── What the test arranges and looks at
  // ────────────────────────────────────────────────────────────────────────────

  Habits& habits(const std::string& plugin) { return habits_[plugin]; }
  // Every command that was carried out, e.g. "Spawn kv", "PutRecord kv STARTING", "Signal kv 15".
  const std::vector<std::string>& commands() const { return commands_; }
  // Throws PlugindKilled instead of carrying out the command after this many.
  void KillPlugindAfter(std::optional<size_t> commands) { kill_after_ = commands; }

  // The newest process of `plugin`; it must have one.
  FakeProcess& process(const std::string& plugin) {
    FakeProcess* newest = nullptr;
    for (auto& [id, process] : processes_) {
      if (process->plugin == plugin && (newest == nullptr || process->pid > newest->pid)) {
        newest = process.get();
      }
    }
    if (newest == nullptr) throw std::logic_error("no process of " + plugin);
    return *newest;
  }
  bool HasProcess(const std::string& plugin) const { return Alive(plugin) > 0; }
  bool IsAlive(std::string_view id) const {
    const auto it = processes_.find(std::string(id));
    return it != processes_.end() && !it->second->exited;
  }
  size_t process_count() const { return processes_.size(); }  // not yet forgotten
  int spawns(const std::string& plugin) const {
    const auto it = spawns_.find(plugin);
    return it == spawns_.end() ? 0 : it->second;
  }
  bool stopping() const { return stopping_; }
  const std::map<std::string, std::string>& records() const { return records_; }
  std::map<std::string, std::string>& records() { return records_; }
  std::map<std::string, UniqueFd>& fds() { return fds_; }
  std::optional<Record> record(const std::string& plugin) const {
    const auto it = records_.find(plugin);
    return it == records_.end() ? std::nullopt : Record::Decode(it->second);
  }

  void Print(const std::string& plugin, std::string_view text) {
    Write(process(plugin).stdout_writer, text);
  }
  void PrintError(const std::string& plugin, std::string_view text) {
    Write(process(plugin).stderr_writer, text);
  }
  // The main process ends; its tree too, unless it leaves descendants.
  void Exit(const std::string& plugin, const ExitStatus& status) { End(process(plugin), status); }
  void Gone(const std::string& plugin) { Vanish(process(plugin)); }
  void ReportStuck(const std::string& plugin) {
    const FakeProcess& stuck = process(plugin);
    Report([id = stuck.id, pid = stuck.pid](KeeperObserver& observer) {
      observer.OnStuck(id, {pid, pid + 1});
    });
  }

  // While set, nothing is delivered.
  bool hold_reports = false;
  // Hands what waits to plugind. Whether there was any.
  bool Deliver(KeeperObserver& observer) {
    if (reports_.empty() || hold_reports) return false;
    while (!reports_.empty()) {
      const auto report = std::move(reports_.front());
      reports_.pop_front();
      report(observer);
    }
    return true;
  }

  // A process that no plugind knows of.
  void AddStray(const std::string& plugin) { Make("stray" + std::to_string(++last_pid_), plugin); }

  // What the next plugind gets. What was reported to the last one and not read is part of it.
  Inheritance Inherit() {
    reports_.clear();
    Inheritance all;
    all.stopping = stopping_;
    all.generation = generation_++;
    for (const auto& [id, process] : processes_) {
      InheritedProcess inherited;
      inherited.id = id;
      inherited.plugin = process->plugin;
      inherited.pid = process->pid;
      inherited.stdout_pipe = process->stdout_reader.Duplicate();
      inherited.stderr_pipe = process->stderr_reader.Duplicate();
      inherited.exited = process->exited;
      inherited.exited_at = process->exited_at;
      inherited.gone = process->gone;
      all.processes.push_back(std::move(inherited));
    }
    all.records = records_;
    for (const auto& [name, fd] : fds_) all.fds.emplace(name, fd.Duplicate());
    return all;
  }

  // ── Keeper
  // ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  void Spawn(const SpawnSpec& spec, const UniqueFd&) override {
    Note("Spawn " + spec.plugin);
    EXPECT_EQ(Alive(spec.plugin), 0) << "a second live process of " << spec.plugin;
    EXPECT_FALSE(stopping_) << spec.plugin << " is started during the stop";
    const auto known = record(spec.plugin);
    EXPECT_TRUE(known && known->state == State::kStarting && known->instance == spec.id)
        << "the spawn of " << spec.plugin << " is not on record";
    if (const auto error = habits_[spec.plugin].spawn_error) {
      Report([id = spec.id, error](KeeperObserver& observer) {
        observer.OnSpawnFailed(id, error->first, error->second);
      });
      return;
    }
    ++spawns_[spec.plugin];
    FakeProcess& made = Make(spec.id, spec.plugin);
    Report([this, id = spec.id](KeeperObserver& observer) {
      const FakeProcess& process = *processes_.at(id);
      observer.OnSpawned(id, process.pid, process.stdout_reader.Duplicate(),
                         process.stderr_reader.Duplicate());
    });
    const Habits& habits = habits_[spec.plugin];
    Write(made.stdout_writer, WithDirectory(habits.prints, spec.env));
    if (habits.ends_at_once) End(made, *habits.ends_at_once);
  }

  void Signal(std::string_view id, int signal) override {
    FakeProcess* const process = Find(id);
    const std::string plugin = process != nullptr ? process->plugin : "unknown";
    Note("Signal " + plugin + " " + std::to_string(signal));
    if (process == nullptr || process->exited) return;
    if (const auto known = record(plugin); signal == SIGTERM) {
      EXPECT_TRUE(known && known->rung == StopRung::kTerminate)
          << "SIGTERM to " << plugin << " is not on record";
    }
    process->signals.push_back(signal);
    if (signal == SIGTERM && habits_[plugin].obeys_sigterm) End(*process, {.signal = SIGTERM});
  }

  void KillTree(std::string_view id) override {
    FakeProcess* const process = Find(id);
    const std::string plugin = process != nullptr ? process->plugin : "unknown";
    Note("KillTree " + plugin);
    if (process == nullptr || process->gone || !habits_[plugin].dies_of_sigkill) return;
    if (process->exited && habits_[plugin].leaves_descendants) return;
    if (!process->exited) End(*process, {.signal = SIGKILL});
    Vanish(*process);
  }

  void Forget(std::string_view id) override {
    FakeProcess* const process = Find(id);
    Note("Forget " + (process != nullptr ? process->plugin : "unknown"));
    ASSERT_NE(process, nullptr) << "forgotten twice: " << id;
    EXPECT_TRUE(process->gone) << process->plugin << " is forgotten while it lives";
    const auto known = record(process->plugin);
    EXPECT_TRUE(!known || known->instance != process->id)
        << process->plugin << " is forgotten while its record speaks of it";
    processes_.erase(process->id);
  }

  void PutRecord(std::string_view name, std::string_view bytes) override {
    const auto put = Record::Decode(bytes);
    Note("PutRecord " + std::string(name) + " " + std::string(put ? ToString(put->state) : "?"));
    EXPECT_TRUE(put) << "a record that does not parse: " << name;
    EXPECT_LE(bytes.size(), size_t{64} * 1024);
    records_[std::string(name)] = bytes;
  }
  void DropRecord(std::string_view name) override {
    Note("DropRecord " + std::string(name));
    records_.erase(std::string(name));
  }
  void KeepFd(std::string_view name, const UniqueFd& fd) override {
    Note("KeepFd " + std::string(name));
    fds_[std::string(name)] = fd.Duplicate();
  }
  void DropFd(std::string_view name) override {
    Note("DropFd " + std::string(name));
    fds_.erase(std::string(name));
  }
  void BeginStop() override {
    Note("BeginStop");
    stopping_ = true;
  }

 private:
  void Note(std::string command) {
    if (kill_after_ && commands_.size() >= *kill_after_) throw PlugindKilled{};
    commands_.push_back(std::move(command));
  }

  void Report(std::function<void(KeeperObserver&)> report) {
    reports_.push_back(std::move(report));
  }

  FakeProcess* Find(std::string_view id) {
    const auto it = processes_.find(std::string(id));
    return it == processes_.end() ? nullptr : it->second.get();
  }

  int Alive(const std::string& plugin) const {
    return static_cast<int>(std::ranges::count_if(processes_, [&](const auto& entry) {
      return entry.second->plugin == plugin && !entry.second->gone;
    }));
  }

  FakeProcess& Make(const std::string& id, const std::string& plugin) {
    auto process = std::make_unique<FakeProcess>();
    process->id = id;
    process->plugin = plugin;
    process->pid = ++last_pid_;
    for (const auto& [reader, writer] :
         {std::pair(&process->stdout_reader, &process->stdout_writer),
          std::pair(&process->stderr_reader, &process->stderr_writer)}) {
      int ends[2] = {-1, -1};
      EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
      reader->reset(ends[0]);
      writer->reset(ends[1]);
    }
    return *(processes_[id] = std::move(process));
  }

  void End(FakeProcess& process, const ExitStatus& status) {
    ASSERT_FALSE(process.exited) << process.plugin << " ended already";
    process.exited = status;
    process.exited_at = clock_.Now();
    Report([id = process.id, status, at = process.exited_at](KeeperObserver& observer) {
      observer.OnExited(id, status, at);
    });
    if (!habits_[process.plugin].leaves_descendants) Vanish(process);
  }

  void Vanish(FakeProcess& process) {
    if (std::exchange(process.gone, true)) return;
    process.stdout_writer.reset();
    process.stderr_writer.reset();
    Report([id = process.id](KeeperObserver& observer) { observer.OnGone(id); });
  }

  static void Write(const UniqueFd& fd, std::string_view text) {
    if (text.empty()) return;
    EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  static std::string WithDirectory(std::string text, const std::vector<std::string>& env) {
    constexpr std::string_view kVariable = "PLUGIN_UNIX_SOCKET_DIR=";
    constexpr std::string_view kPlace = "{DIR}";
    for (const std::string& entry : env) {
      if (!entry.starts_with(kVariable)) continue;
      while (text.find(kPlace) != std::string::npos) {
        text.replace(text.find(kPlace), kPlace.size(), entry.substr(kVariable.size()));
      }
    }
    return text;
  }

  const Clock& clock_;
  std::map<std::string, Habits> habits_;
  std::map<std::string, std::unique_ptr<FakeProcess>> processes_;  // by id
  std::map<std::string, std::string> records_;
  std::map<std::string, UniqueFd> fds_;
  std::map<std::string, int> spawns_;
  std::vector<std::string> commands_;
  std::optional<size_t> kill_after_;
  std::deque<std::function<void(KeeperObserver&)>> reports_;
  uint32_t generation_ = 0;
  int last_pid_ = 1000;
  bool stopping_ = false;
};

}  // namespace plugind::supervisor
