#include "daemon/pluginctl/author/command.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>

#include "daemon/base/status.h"

namespace plugind::pluginctl {
namespace {

namespace fs = std::filesystem;

std::string ResolveProgram(const std::string& given) {
  std::error_code error;
  const std::string here = fs::absolute(given, error).lexically_normal().string();
  if (given.find('/') != std::string::npos || fs::exists(here, error)) return here;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = fs::path(folder) / given;
    if (!folder.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return here;
}

const std::set<std::string> kModules = {".py", ".js", ".mjs", ".cjs"};

bool IsScript(const std::string& path) {
  if (kModules.contains(fs::path(path).extension().string())) return true;
  std::ifstream file(path, std::ios::binary);
  return file.get() == '#' && file.get() == '!';
}

}  // namespace

std::vector<std::string> ResolveCommand(std::vector<std::string> command) {
  command.front() = ResolveProgram(command.front());
  for (size_t i = 1; i < command.size(); ++i) {
    std::error_code error;
    if (fs::is_regular_file(command[i], error))
      command[i] = fs::absolute(command[i]).lexically_normal().string();
  }
  return command;
}

absl::Status WatchCommand(FileWatch& watch, const std::vector<std::string>& command) {
  RETURN_IF_ERROR(watch.Add(command.front()));
  std::vector<std::string> scripts;
  if (IsScript(command.front())) scripts.push_back(command.front());
  for (size_t i = 1; i < command.size(); ++i) {
    std::error_code error;
    if (!fs::path(command[i]).is_absolute() || !fs::is_regular_file(command[i], error)) continue;
    RETURN_IF_ERROR(watch.Add(command[i]));
    if (IsScript(command[i])) scripts.push_back(command[i]);
  }
  // A script's own modules lie beside it, and so does what a starter of two lines starts.
  for (const std::string& script : scripts) {
    const fs::path path(script);
    std::set<std::string> suffixes = {path.extension().string()};
    if (!path.has_extension()) suffixes = kModules;
    for (const std::string& suffix : suffixes)
      RETURN_IF_ERROR(watch.AddSuffix(path.parent_path().string(), suffix));
  }
  return absl::OkStatus();
}

}  // namespace plugind::pluginctl
