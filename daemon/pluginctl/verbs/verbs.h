// One function for each verb: what main.cc has parsed goes in, an exit code comes out. Data goes to
// Context::out, prose to stderr.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/pluginctl/call/metadata.h"
#include "daemon/pluginctl/call/target.h"
#include "daemon/pluginctl/connection.h"
#include "daemon/pluginctl/deadline.h"
#include "daemon/pluginctl/exit_code.h"
#include "daemon/pluginctl/output.h"
#include "daemon/pluginctl/terminal.h"

namespace plugind::pluginctl {

enum class Format {
  kText,
  kJson,
};

struct Context {
  Connection& connection;
  Output& out;
  const Terminal& out_terminal;
  const Terminal& err_terminal;
};

struct StatusOptions {
  std::string name;  // empty: all
  Format format = Format::kText;
  bool check = false;
};
ExitCode RunStatus(Context& context, const StatusOptions& options);

enum class Change {
  kStart,
  kStop,
  kRestart,
  kEnable,
  kDisable,
};
struct ChangeOptions {
  Change change = Change::kStart;
  std::vector<std::string> names;
  bool wait = true;
  Duration timeout{};  // 0: none
};
ExitCode RunChange(Context& context, const ChangeOptions& options);

struct ReloadOptions {
  std::vector<std::string> names;  // empty: the whole configuration
  bool wait = true;
  Duration timeout{};
};
ExitCode RunReload(Context& context, const ReloadOptions& options);

struct LogsOptions {
  std::string name;
  bool follow = false;
  std::optional<uint32_t> tail;
  uint64_t since = 0;  // 0: not given
  Format format = Format::kText;
};
ExitCode RunLogs(Context& context, const LogsOptions& options);

struct EventsOptions {
  std::string plugin;  // empty: all
  bool follow = false;
  std::optional<uint32_t> tail;
  uint64_t from = 0;  // 0: not given
  Format format = Format::kText;
};
ExitCode RunEvents(Context& context, const EventsOptions& options);

struct WaitOptions {
  std::string name;
  std::vector<v1::Plugin::State> states;
  Duration timeout{};
};
ExitCode RunWait(Context& context, const WaitOptions& options);

struct CallOptions {
  CallTarget target;  // without a method: what there is to call is shown
  std::optional<std::string> data;
  Metadata headers;
  std::vector<std::string> proto_files;  // empty: by reflection
  std::vector<std::string> proto_folders;
  Duration timeout{};               // 0: none but the plugin's own
  uint64_t max_message = 64 << 20;  // bytes; at most INT_MAX
  bool emit_defaults = false;
  bool verbose = false;
  Format format = Format::kText;
};
ExitCode RunCall(Context& context, const CallOptions& options);

struct TopOptions {
  bool by_method = false;
  bool batch = false;   // as text one below the other, also on a terminal
  uint32_t rounds = 0;  // 0: until interrupted
  Duration interval = std::chrono::seconds(2);
  Format format = Format::kText;
};
ExitCode RunTop(Context& context, const TopOptions& options);

ExitCode RunInfo(Context& context, Format format);

struct ReattachOptions {
  std::string name;
  std::string provider;  // not empty: a map from this address, as TF_REATTACH_PROVIDERS wants it
  bool gateway = false;  // through plugind, not to the process itself
};
ExitCode RunReattach(Context& context, const ReattachOptions& options);

struct ConfigOptions {
  std::string file;    // plugind.toml; empty: the default of this user
  std::string plugin;  // show only this plugin; empty: everything
  bool origin = false;
  Format format = Format::kText;
};
// These read the files themselves and need no daemon.
ExitCode RunConfigCheck(Output& out, const ConfigOptions& options);
ExitCode RunConfigShow(Output& out, const ConfigOptions& options);

enum class TestFormat {
  kTap,
  kJunit,
  kJson,
  kText,
};
struct PluginTestOptions {
  std::vector<std::string> command;
  std::string cookie_key = "PLUGIND_PLUGIN";
  std::string cookie_value = "1";
  std::vector<uint32_t> protocol_versions = {1};
  bool allow_tcp = false;
  std::string accepted_file, refused_file;
  Duration timeout{};
  std::vector<std::string> only;  // empty: every rule
  bool list = false;
  std::optional<TestFormat> format;  // none: kText on a terminal, else kTap
};
// Starts the plugin itself, many times; no daemon is asked.
ExitCode RunPluginTest(Output& out, const Terminal& terminal, const PluginTestOptions& options);

struct PluginNewOptions {
  std::string language;
  std::string name;
  std::string folder;  // empty: as the name
};
ExitCode RunPluginNew(Output& out, const PluginNewOptions& options);

struct PluginRunOptions {
  std::vector<std::string> command;  // empty: that of `config`
  std::string config;                // the plugin's own TOML; empty: none
  std::string name;                  // empty: from the file or the program
  bool watch = false;
  bool attach = false;  // the author starts the program himself
};
// Under a plugind of its own, until Ctrl-C.
ExitCode RunPluginRun(const Terminal& terminal, const PluginRunOptions& options);

// The names of all plugins, a line each, for shell completion: quickly, or not at all.
ExitCode RunCompletePlugins(Context& context);

}  // namespace plugind::pluginctl
