// pluginctl config check, show: the configuration files as plugind would read them, without a
// daemon.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "daemon/config/load.h"
#include "daemon/config/suggest.h"
#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

std::string DefaultFile() {
  if (geteuid() == 0) return "/etc/plugind/plugind.toml";
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && *config != '\0') return fmt::format("{}/plugind/plugind.toml", config);
  const char* home = std::getenv("HOME");
  return fmt::format("{}/.config/plugind/plugind.toml", home == nullptr ? "" : home);
}

std::string FileOf(const ConfigOptions& options) {
  return options.file.empty() ? DefaultFile() : options.file;
}

config::LoadResult Load(const ConfigOptions& options) {
  return config::Load(FileOf(options), {.file_required = !options.file.empty()});
}

void ShowJson(Output& out, const config::LoadResult& loaded, const std::string& plugin) {
  nlohmann::ordered_json settings = nlohmann::ordered_json::array();
  for (const config::Setting& each : loaded.settings) {
    if (!plugin.empty() && each.plugin != plugin) continue;
    settings.push_back({{"plugin", each.plugin},
                        {"key", each.key},
                        {"value", each.value},
                        {"file", each.file},
                        {"line", each.line}});
  }
  const nlohmann::ordered_json document = {{"settings", std::move(settings)}};
  // A path may hold any bytes.
  out.Write(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n');
}

}  // namespace

ExitCode RunConfigCheck(Output& out, const ConfigOptions& options) {
  const config::LoadResult loaded = Load(options);
  if (options.format == Format::kJson) {
    out.Write(config::ProblemsAsJson(loaded.problems) + '\n');
    return loaded.ok() ? ExitCode::kDone : ExitCode::kFailed;
  }
  for (const config::Problem& problem : loaded.problems) out.Write(problem.ToString() + '\n');
  out.Flush();
  if (!loaded.ok()) return ExitCode::kFailed;
  const std::string file = FileOf(options);
  fmt::print(stderr, "{}{}: no problems, {} plugins\n", file,
             access(file.c_str(), F_OK) == 0 ? "" : " (absent)", loaded.config.plugins.size());
  return ExitCode::kDone;
}

ExitCode RunConfigShow(Output& out, const ConfigOptions& options) {
  const config::LoadResult loaded = Load(options);
  if (!loaded.ok()) {
    for (const config::Problem& problem : loaded.problems)
      fmt::print(stderr, "{}\n", problem.ToString());
    return ExitCode::kFailed;
  }
  const std::string& only = options.plugin;
  if (!only.empty() && !loaded.config.plugins.contains(only)) {
    std::vector<std::string> names;
    for (const auto& [name, plugin] : loaded.config.plugins) names.push_back(name);
    Complain(fmt::format("no such plugin \"{}\"{}", only, config::DidYouMean(only, names)));
    return ExitCode::kNoSuchPlugin;
  }
  if (options.format == Format::kJson) {
    ShowJson(out, loaded, only);
    return ExitCode::kDone;
  }
  const auto show = options.origin ? config::ShowOrigin::kYes : config::ShowOrigin::kNo;
  if (only.empty())
    out.Write(fmt::format("# {}\n{}", FileOf(options), config::ToToml(loaded.settings, "", show)));
  for (const auto& [name, plugin] : loaded.config.plugins) {
    if (!only.empty() && name != only) continue;
    const std::string gap = only.empty() ? "\n" : "";
    out.Write(
        fmt::format("{}# {}\n{}", gap, plugin.file, config::ToToml(loaded.settings, name, show)));
  }
  return ExitCode::kDone;
}

}  // namespace plugind::pluginctl
