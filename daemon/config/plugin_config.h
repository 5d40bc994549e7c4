// What the configuration files say, as plain values with their defaults. Immutable once loaded;
// compared to find what a reload changes. What runs lives in daemon/supervisor.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.h"
#include "daemon/base/custody.h"

namespace plugind::config {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class Restart {
  kAlways,
  kOnFailure,
  kNever,
};

struct MagicCookie {
  std::string key = "PLUGIND_PLUGIN";
  std::string value = "1";
  friend bool operator==(const MagicCookie&, const MagicCookie&) = default;
};

struct Backoff {
  Duration initial = milliseconds(200);  // 0: at once, every time
  Duration max = seconds(60);
  Duration stable = seconds(60);  // READY for this long: the next death restarts at once
  friend bool operator==(const Backoff&, const Backoff&) = default;
};

struct Quarantine {
  uint32_t failures = 5;  // 0: never
  Duration window = seconds(60);
  friend bool operator==(const Quarantine&, const Quarantine&) = default;
};

struct Health {
  Duration interval = seconds(5);
  Duration timeout = seconds(2);
  uint32_t failures = 3;
  Duration unready_limit = Duration::zero();  // NOT_SERVING for this long: restarted; 0: never
  friend bool operator==(const Health&, const Health&) = default;
};

struct Stop {
  Duration drain = seconds(30);
  Duration shutdown = seconds(5);  // the Shutdown RPC's deadline, before SIGTERM
  Duration grace = seconds(10);    // from SIGTERM to SIGKILL
  friend bool operator==(const Stop&, const Stop&) = default;
};

struct Limits {
  uint64_t nofile = 0;  // RLIMIT_NOFILE; 0: plugind's own
  uint64_t core = 0;    // RLIMIT_CORE, bytes
  friend bool operator==(const Limits&, const Limits&) = default;
};

// The gateway's and the contract's tables: read and checked here, used by later layers.
struct Call {
  Duration timeout = seconds(30);
  uint32_t max_in_flight = 1000;
  std::vector<std::string> idempotent;
  friend bool operator==(const Call&, const Call&) = default;
};
struct Access {
  std::vector<std::string> callers;
  std::vector<std::string> calls;
  friend bool operator==(const Access&, const Access&) = default;
};
struct Capabilities {
  std::map<std::string, std::string> offer;
  std::vector<std::string> require;
  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

struct PluginConfig {
  std::string name;
  std::string file;                  // where it was read, absolute
  std::vector<std::string> command;  // command[0] is absolute
  bool enabled = true;
  std::map<std::string, std::string> env;
  std::string working_directory;  // empty: the plugin's state directory
  std::string user;               // empty: plugind's own
  std::string group;
  std::optional<Identity> identity;  // `user` and `group` looked up
  MagicCookie magic_cookie;
  std::vector<uint32_t> protocol_versions = {1};
  bool allow_tcp = false;  // `network` has "tcp"
  bool auto_mtls = false;  // go-plugin's: connections to it speak TLS
  Duration start_timeout = seconds(10);
  Restart restart = Restart::kOnFailure;
  std::vector<std::string> after;
  Backoff backoff;
  Quarantine quarantine;
  Health health;
  Stop stop;
  Limits limits;
  Call call;
  Access access;
  Capabilities capabilities;
  std::string settings;       // the [config] table as JSON with sorted keys; "{}" when absent
  std::string config_schema;  // a file, absolute; empty: what the plugin publishes
  friend bool operator==(const PluginConfig&, const PluginConfig&) = default;
};

enum class LogLevel {
  kTrace,
  kDebug,
  kInfo,
  kWarn,
  kError,
};
enum class LogFormat {
  kAuto,
  kText,
  kJson,
};

// What one of the gateway's peers may cost; in force from plugind's start.
struct GatewayLimits {
  uint32_t held_calls = 1000;  // of one plugin
  uint32_t connections_per_caller = 64;
  uint32_t streams_per_connection = 100;
  uint64_t metadata = 8 * 1024;  // bytes
  Duration handshake_timeout = seconds(5);
  uint32_t resets_per_second = 500;
  uint32_t control_frames_per_second = 2000;
  friend bool operator==(const GatewayLimits&, const GatewayLimits&) = default;
};

struct DaemonConfig {
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kAuto;
  uint32_t restarts_per_second = 10;  // 0: no limit
  uint64_t log_buffer = 256 * 1024;   // bytes of log entries kept for each plugin
  Duration watchdog = seconds(20);    // how long plugind's loop may stand still
  std::vector<std::string> viewers, operators, admins;
  uint32_t gateway_threads = 1;
  Duration gateway_spin = std::chrono::microseconds(50);
  Duration gateway_hold = seconds(10);
  GatewayLimits gateway_limits;
  std::string metrics_listen = "127.0.0.1:9464";
  friend bool operator==(const DaemonConfig&, const DaemonConfig&) = default;
};

struct Config {
  DaemonConfig daemon;
  std::map<std::string, PluginConfig> plugins;  // by name
};

}  // namespace plugind::config
