// plugind: reads its command line, then is one of three things: a check of the configuration, the
// start of a daemon (which becomes the keeper), or, started by the keeper, the daemon itself.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <string>

#include "daemon/base/unique_fd.h"
#include "daemon/config/load.h"
#include "daemon/keeper/client.h"
#include "daemon/plugind/daemon.h"
#include "daemon/plugind/launcher.h"
#include "daemon/plugind/paths.h"

namespace {

using plugind::Message;

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;
constexpr int kExitConfig = 78;  // EX_CONFIG

struct CommandLine {
  plugind::Paths paths;
  bool check_config = false;
  bool config_may_be_absent = false;
  std::string output = "text";
};

int Fail(const absl::Status& status) {
  std::cerr << "plugind: " << Message(status) << '\n';
  return kExitFailure;
}

int CheckConfig(const CommandLine& line) {
  const auto loaded =
      plugind::config::Load(line.paths.config_file, {.file_required = line.paths.config_required},
                            {.named = true, .state_dir = line.paths.state_dir});
  if (line.output == "json") {
    std::cout << plugind::config::ProblemsAsJson(loaded.problems, loaded.notes) << '\n';
  } else {
    for (const auto& problem : loaded.problems) std::cerr << problem.ToString() << '\n';
    for (const auto& note : loaded.notes) std::cerr << "note: " << note.ToString() << '\n';
    if (loaded.ok()) {
      std::cout << line.paths.config_file << ": good, " << loaded.config.plugins.size()
                << " plugin(s)\n";
    }
  }
  return loaded.ok() ? 0 : kExitConfig;
}

// The keeper's socket, when the keeper started this process.
plugind::UniqueFd KeeperSocket() {
  const char* const variable = std::getenv(plugind::keeper::kSocketVariable);
  if (variable == nullptr) return plugind::UniqueFd();
  ::unsetenv(plugind::keeper::kSocketVariable);
  return plugind::UniqueFd(plugind::keeper::kSocketFd);
}

int Run(CommandLine& line) {
  if (const auto filled = plugind::FillDefaults(&line.paths); !filled.ok()) return Fail(filled);
  if (line.check_config) return CheckConfig(line);
  if (auto socket = KeeperSocket(); socket.valid()) {
    return plugind::Daemon(line.paths).Run(std::move(socket));
  }
  // Now, while there is a terminal to say it on, and before anything is started.
  const auto loaded =
      plugind::config::Load(line.paths.config_file, {.file_required = line.paths.config_required});
  for (const auto& problem : loaded.problems) std::cerr << problem.ToString() << '\n';
  if (!loaded.ok()) return kExitConfig;
  if (const auto made = plugind::MakeDirectories(&line.paths); !made.ok()) return Fail(made);
  return Fail(plugind::BecomeKeeper(line.paths));
}

}  // namespace

int main(int argc, char** argv) {
  CommandLine line;
  CLI::App app("plugind: runs gRPC plugins as separate processes and keeps them running.",
               "plugind");
  app.set_version_flag("--version", "plugind " PLUGIND_VERSION);
  auto* config = app.add_option("--config", line.paths.config_file,
                                "The configuration file (plugins.d lies beside it)");
  app.add_option("--runtime-dir", line.paths.runtime_dir,
                 "Where sockets are; removed at the next boot");
  app.add_option("--state-dir", line.paths.state_dir, "What outlives the daemon");
  auto* check = app.add_flag("--check-config", line.check_config,
                             "Check the configuration and exit: 0 or 78");
  app.add_option("-o,--output", line.output, "With --check-config: text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->needs(check);
  app.add_flag("--config-may-be-absent", line.config_may_be_absent)
      ->group("");  // from the launcher to the daemon
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  line.paths.config_required = config->count() > 0 && !line.config_may_be_absent;
  return Run(line);
}
