// plugins.d/NAME.toml, key by key.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <variant>

#include "daemon/config/document.h"
#include "daemon/config/files.h"
#include "daemon/config/identity.h"
#include "daemon/config/json.h"
#include "daemon/config/reader.h"

namespace plugind::config {
namespace {

constexpr Duration kDay = std::chrono::hours(24);
constexpr Range<Duration> kAnyTime{Duration::zero(), kDay};
constexpr Range<Duration> kSomeTime{milliseconds(1), kDay};
constexpr uint64_t kMaxOpenFiles = 1 << 30;  // what fs.nr_open may be at most, about

void ReadName(Section& top, const std::string& file, PluginFile* result) {
  auto& name = result->config.name;
  name = Stem(file);
  const auto* entry = top.Find("name");
  if (entry == nullptr) {
    if (auto error = CheckName(name); !error.empty()) {
      top.Reject({}, fmt::format("the file's stem {}; rename it or set \"name\"", error));
    }
  } else if (const auto* given = entry->value.As<std::string>()) {
    result->name_at = entry->value.at;
    if (auto error = CheckName(*given); error.empty()) {
      name = *given;
    } else {
      top.Reject(entry->value.at, fmt::format("\"name\": {}", error));
    }
  } else {
    top.RejectType("name", entry->value, "a string");
  }
  top.Note("name", entry, Quote(name));
}

void ReadCommand(Section& top, PluginConfig* config) {
  const auto* given = top.Find("command");
  if (given == nullptr) return;  // see RequireCommand
  const auto* array = given->value.As<Array>();
  if (array != nullptr && array->empty()) {
    top.Reject(given->value.at, "\"command\" must not be empty");
  }
  top.Read("command", &config->command, CheckNothing, /*repeats=*/true);
  if (config->command.empty()) return;
  auto& program = config->command.front();
  if (program.empty()) top.Reject(given->value.at, "\"command\" must begin with a program's path");
  program = ResolvePath(program, config->file);
  top.Amend("command", ToToml(config->command));
}

// After the unknown keys are known: "comand" is one error, not two.
void RequireCommand(Section top, const std::set<std::string>& guesses) {
  if (top.Find("command") != nullptr || guesses.contains("command")) return;
  top.Reject({}, "\"command\" is missing: the program and its arguments, such as [\"./kv\"]");
}

void ReadIdentity(Section& top, PluginConfig* config) {
  const auto* user = top.Find("user");
  const auto* group = top.Find("group");
  top.Read("user", &config->user, CheckNotEmpty);
  top.Read("group", &config->group, CheckNotEmpty);
  if (config->user.empty() && config->group.empty()) return;
  auto found = LookUpIdentity(config->user, config->group, geteuid());
  if (!found.user_error.empty()) {
    top.Reject(user->value.at, fmt::format("\"user\": {}", found.user_error));
  }
  if (!found.group_error.empty()) {
    top.Reject(group->value.at, fmt::format("\"group\": {}", found.group_error));
  }
  config->identity = std::move(found.identity);
}

void ReadNetwork(Section& top, PluginConfig* config) {
  const auto check = [](std::string_view text) -> std::string {
    if (text == "unix" || text == "tcp") return "";
    return fmt::format("{} is no network: write \"unix\" or \"tcp\"", Shown(text));
  };
  std::vector<std::string> networks = {"unix"};
  const auto places = top.Read("network", &networks, check);
  const auto has = [&](std::string_view network) {
    return std::find(networks.begin(), networks.end(), network) != networks.end();
  };
  config->allow_tcp = has("tcp");
  if (has("unix")) return;
  // What else is wrong with the list has been said already.
  const auto* entry = top.Find("network");
  const auto* array = entry->value.As<Array>();
  if (array->empty() || !places.empty()) {
    top.Reject(entry->value.at, "\"network\" must have \"unix\"; \"tcp\" may be added to it");
  }
}

void ReadMagicCookie(Reader& reader, MagicCookie* cookie) {
  auto in = reader.In("magic_cookie");
  const bool has_key = in.Find("key") != nullptr;
  const bool has_value = in.Find("value") != nullptr;
  in.Read("key", &cookie->key, CheckCookieName);
  in.Read("value", &cookie->value, CheckNotEmpty);
  if (has_key != has_value) {
    in.Reject(in.at(), "\"magic_cookie\" needs both \"key\" and \"value\"");
  }
}

void ReadEnvironment(Section& top, const MagicCookie& cookie, PluginConfig* config) {
  const auto check = [&](std::string_view name) -> std::string {
    if (name == cookie.key) {
      return fmt::format("{} is the magic cookie, which \"magic_cookie\" sets", Shown(name));
    }
    return CheckEnvironmentName(name);
  };
  top.Read("env", &config->env, check, CheckNothing);
}

void ReadPolicies(Reader& reader, PluginConfig* config) {
  auto backoff = reader.In("backoff");
  backoff.Read("initial", &config->backoff.initial, kAnyTime);
  backoff.Read("max", &config->backoff.max, kSomeTime);
  backoff.Read("stable", &config->backoff.stable, kAnyTime);
  if (config->backoff.max < config->backoff.initial) {
    const auto* max = backoff.Find("max");
    const auto* culprit = max != nullptr ? max : backoff.Find("initial");
    backoff.Reject(culprit->value.at,
                   fmt::format("\"max\" ({}) must not be less than \"initial\" ({})",
                               ToString(config->backoff.max), ToString(config->backoff.initial)));
  }

  auto quarantine = reader.In("quarantine");
  quarantine.Read("failures", &config->quarantine.failures, Range<uint32_t>{0, 1000});
  quarantine.Read("window", &config->quarantine.window, kSomeTime);

  auto health = reader.In("health");
  health.Read("interval", &config->health.interval, Range<Duration>{milliseconds(10), kDay});
  health.Read("timeout", &config->health.timeout, kSomeTime);
  health.Read("failures", &config->health.failures, Range<uint32_t>{1, 1000});
  health.Read("unready_limit", &config->health.unready_limit, kAnyTime);

  auto stop = reader.In("stop");
  stop.Read("drain", &config->stop.drain, kAnyTime);
  stop.Read("shutdown", &config->stop.shutdown, kAnyTime);
  stop.Read("grace", &config->stop.grace, kAnyTime);
}

void ReadLimits(Reader& reader, Limits* limits) {
  auto in = reader.In("limits");
  in.Read("nofile", &limits->nofile, Range<uint64_t>{0, kMaxOpenFiles});
  in.ReadSize("core", &limits->core, {0, uint64_t{1} << 50}, /*unlimited=*/true);
  // Fewer do not hold stdio, a socket, an epoll set and a few calls.
  constexpr uint64_t kMinOpenFiles = 16;
  if (limits->nofile > 0 && limits->nofile < kMinOpenFiles) {
    in.Reject(in.Find("nofile")->value.at,
              fmt::format("\"nofile\" must be 0 (as plugind's own) or at least {}", kMinOpenFiles));
  }
}

void ReadCalls(Reader& reader, PluginConfig* config) {
  auto call = reader.In("call");
  call.Read("timeout", &config->call.timeout, kSomeTime);
  call.Read("max_in_flight", &config->call.max_in_flight, Range<uint32_t>{1, 1'000'000});
  call.Read("idempotent", &config->call.idempotent, CheckMethodPath);

  auto access = reader.In("access");
  access.Read("callers", &config->access.callers, CheckCaller);
  access.Read("calls", &config->access.calls, CheckCall);

  auto capabilities = reader.In("capabilities");
  capabilities.Read("offer", &config->capabilities.offer, CheckCapability, CheckVersion);
  capabilities.Read("require", &config->capabilities.require, CheckCapability);
}

void ReadSettings(Section& top, PluginFile* result) {
  auto& config = result->config;
  top.Read("config_schema", &config.config_schema, CheckNotEmpty);
  if (!config.config_schema.empty()) {
    config.config_schema = ResolvePath(config.config_schema, config.file);
    result->config_schema_at = top.Find("config_schema")->value.at;
    top.Amend("config_schema", Quote(config.config_schema));
  }
  config.settings = "{}";
  const auto* table = top.ReadTable("config");
  result->settings_good = table != nullptr || top.Find("config") == nullptr;
  if (table == nullptr) return;
  const auto reject = [&](Position at, std::string message) {
    result->settings_good = false;
    top.Reject(at, std::move(message));
  };
  result->settings_at = top.Find("config")->at;
  result->settings_table = *table;
  config.settings = SettingsAsJson(*table, reject);
  if (config.settings.size() > kMaxSettingsBytes) {
    reject(result->settings_at,
           fmt::format("[config] has {} bytes as JSON, at most {} are handed over",
                       config.settings.size(), kMaxSettingsBytes));
  }
  for (const auto& entry : *table) top.NoteIn("config", entry);
}

void ReadAll(Reader& reader, const std::string& file, PluginFile* result) {
  auto& config = result->config;
  auto top = reader.Top();
  ReadName(top, file, result);
  ReadCommand(top, &config);
  top.Read("enabled", &config.enabled);
  top.Read("working_directory", &config.working_directory, CheckNotEmpty);
  if (!config.working_directory.empty()) {
    config.working_directory = ResolvePath(config.working_directory, file);
    top.Amend("working_directory", Quote(config.working_directory));
  }
  ReadIdentity(top, &config);
  top.Read("protocol_versions", &config.protocol_versions, Range<uint32_t>{1, INT32_MAX});
  ReadNetwork(top, &config);
  top.Read("auto_mtls", &config.auto_mtls);
  top.Read("start_timeout", &config.start_timeout, kSomeTime);
  top.ReadWord("restart", &config.restart,
               {{"always", Restart::kAlways},
                {"on-failure", Restart::kOnFailure},
                {"never", Restart::kNever}});
  result->after_at = top.Read("after", &config.after, CheckNothing);
  ReadMagicCookie(reader, &config.magic_cookie);
  ReadEnvironment(top, config.magic_cookie, &config);
  ReadPolicies(reader, &config);
  ReadLimits(reader, &config.limits);
  ReadCalls(reader, &config);
  ReadSettings(top, result);
}

}  // namespace

PluginFile ReadPluginFile(std::string_view text, const std::string& file) {
  PluginFile result;
  result.config.file = file;
  result.config.name = Stem(file);
  Findings findings(file);
  const auto document = ParseDocument(text);
  if (const auto* objection = std::get_if<Objection>(&document)) {
    findings.Add(objection->at, objection->message);
  } else {
    Reader reader(std::get<Table>(document), findings, result.settings);
    ReadAll(reader, file, &result);
    RequireCommand(reader.Top(), reader.RejectUnknown());
  }
  for (auto& setting : result.settings) setting.plugin = result.config.name;
  result.problems = findings.TakeProblems();
  return result;
}

}  // namespace plugind::config
