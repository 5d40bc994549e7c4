// pluginctl plugin new: a project that builds, has a test, and is a plugin.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "daemon/base/status.h"
#include "daemon/pluginctl/author/scaffold.h"
#include "daemon/pluginctl/error.h"
#include "daemon/pluginctl/text.h"
#include "daemon/pluginctl/verbs/verbs.h"

namespace plugind::pluginctl {
namespace {

// The commands of the project's own page, which are the ones that were tried.
void ShowNextSteps(const std::string& folder) {
  fmt::print(stderr, "next:\n  cd {}\n", Printable(folder));
  std::ifstream page(folder + "/README.md");
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      if (inside) break;
      inside = true;
    } else if (inside) {
      fmt::print(stderr, "  {}\n", Printable(line));
    }
  }
}

}  // namespace

ExitCode RunPluginNew(Output& out, const PluginNewOptions& options) {
  const std::string folder = options.folder.empty() ? options.name : options.folder;
  const auto prefix = FindPrefix();
  if (!prefix.ok()) {
    Complain(std::string(Message(prefix.status())));
    return ExitCode::kFailed;
  }
  const auto made = MakeProject({options.language, options.name, folder, *prefix});
  if (!made.ok()) {
    Complain(std::string(Message(made.status())));
    return ExitCode::kFailed;
  }
  for (const std::string& file : *made)
    out.Write(Printable((std::filesystem::path(folder) / file).string()) + '\n');
  out.Flush();
  ShowNextSteps(folder);
  return ExitCode::kDone;
}

}  // namespace plugind::pluginctl
