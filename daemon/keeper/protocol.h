// What plugind and its keeper say to each other: one message a packet of a SOCK_SEQPACKET socket,
// as plain structs and their bytes. Pure values; no fd is opened or closed here (fds travel beside
// the bytes, see channel.h).
//
// plugind → keeper: `Command`. keeper → plugind: `Report`; the first ones of a plugind's life are
// the greeting, Welcome … WelcomeEnd, and tell it everything that outlived its predecessor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/base/custody.h"

namespace plugind::keeper {

// Raised when a message changes its meaning. The keeper outlives upgrades of plugind, so both may
// differ.
inline constexpr uint32_t kProtocolVersion = 1;

// Bounds. Neither side sends more, and both refuse more.
inline constexpr size_t kMaxMessageBytes = size_t{192} * 1024;
inline constexpr size_t kMaxRecordBytes = size_t{64} * 1024;
inline constexpr size_t kMaxNameBytes = 255;    // of a record, a kept fd, a plugin
inline constexpr size_t kMaxFdsPerMessage = 2;  // a process's two pipes
inline constexpr size_t kMaxStuckPids = 64;     // named in one Stuck

// ---- commands ----

struct SpawnCommand {
  SpawnSpec spec;
  bool has_executable = false;  // one fd comes along
};
struct SignalCommand {
  std::string id;
  int32_t signal = 0;
};
struct KillTreeCommand {
  std::string id;
};
struct ForgetCommand {
  std::string id;
};
struct PutRecordCommand {
  std::string name;
  std::string bytes;
};
struct DropRecordCommand {
  std::string name;
};
struct KeepFdCommand {  // one fd comes along
  std::string name;
};
struct DropFdCommand {
  std::string name;
};
struct BeginStopCommand {};
struct ReadyCommand {};

using Command =
    std::variant<SpawnCommand, SignalCommand, KillTreeCommand, ForgetCommand, PutRecordCommand,
                 DropRecordCommand, KeepFdCommand, DropFdCommand, BeginStopCommand, ReadyCommand>;

// ---- reports ----

struct Welcome {
  uint32_t version = kProtocolVersion;  // stays the first field for ever
  bool stopping = false;
  uint32_t generation = 0;
  std::string cgroup;
};
struct AdoptedReport {  // stdout's and stderr's pipes come along
  std::string id;
  std::string plugin;
  int32_t pid = 0;
  bool exited = false;
  ExitStatus status;         // meaningful when exited
  int64_t exited_at_ns = 0;  // CLOCK_MONOTONIC; meaningful when exited
  bool gone = false;
};
struct RecordReport {
  std::string name;
  std::string bytes;
};
struct KeptFdReport {  // the fd comes along
  std::string name;
};
struct WelcomeEnd {};
struct SpawnedReport {  // stdout's and stderr's pipes come along
  std::string id;
  int32_t pid = 0;
};
struct SpawnFailedReport {
  std::string id;
  SpawnStep step = SpawnStep::kExec;
  int32_t error = 0;  // errno
};
struct ExitedReport {
  std::string id;
  ExitStatus status;
  int64_t at_ns = 0;  // CLOCK_MONOTONIC
};
struct GoneReport {
  std::string id;
};
struct StuckReport {
  std::string id;
  std::vector<int32_t> remaining;
};

using Report =
    std::variant<Welcome, AdoptedReport, RecordReport, KeptFdReport, WelcomeEnd, SpawnedReport,
                 SpawnFailedReport, ExitedReport, GoneReport, StuckReport>;

// For std::visit: one lambda for each kind of message, and the compiler says which is missing.
template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

std::string Encode(const Command& command);
std::string Encode(const Report& report);

// Null for anything but the exact bytes of one valid message: truncated, trailing bytes, out of
// range, over a bound. What is decoded encodes to the same bytes again.
std::optional<Command> DecodeCommand(std::string_view bytes);
std::optional<Report> DecodeReport(std::string_view bytes);

// [a-z0-9]{1,32}: safe as the name of a directory.
bool IsInstanceId(std::string_view id);

}  // namespace plugind::keeper
