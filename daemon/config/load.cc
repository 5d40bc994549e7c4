#include "daemon/config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <tuple>
#include <utility>

#include "daemon/config/across.h"
#include "daemon/config/files.h"
#include "daemon/config/settings_check.h"

namespace plugind::config {
namespace {

template <typename T>
void MoveInto(std::vector<T>* all, std::vector<T>&& more) {
  all->insert(all->end(), std::make_move_iterator(more.begin()),
              std::make_move_iterator(more.end()));
}

void LoadDaemonFile(const SourceFile& source, LoadResult* result) {
  if (!source.trouble.empty()) result->problems.push_back({source.path, 0, 0, source.trouble});
  auto parsed = ReadDaemonFile(source.text, source.path);
  result->config.daemon = std::move(parsed.config);
  MoveInto(&result->settings, std::move(parsed.settings));
  MoveInto(&result->problems, std::move(parsed.problems));
}

void LoadPluginFiles(const std::vector<SourceFile>& sources, const SchemaSources& schemas,
                     LoadResult* result) {
  std::vector<PluginFile> files;
  for (const auto& source : sources) {
    if (source.trouble.empty()) {
      files.push_back(ReadPluginFile(source.text, source.path));
    } else {
      // Its name is taken nevertheless, so that others' `after` is not called wrong.
      files.emplace_back();
      files.back().config.name = Stem(source.path);
      files.back().config.file = source.path;
      files.back().problems.push_back({source.path, 0, 0, source.trouble});
    }
  }
  CheckAcross(files, &result->problems);
  for (auto& file : files) {
    if (file.settings_good && (schemas.only.empty() || schemas.only == file.config.name))
      CheckSettings(file, schemas, &file.problems, &result->notes);
    MoveInto(&result->settings, std::move(file.settings));
    MoveInto(&result->problems, std::move(file.problems));
    const auto name = file.config.name;
    result->config.plugins.emplace(name, std::move(file.config));
  }
}

}  // namespace

std::string ResolvePath(const std::string& path, const std::string& file) {
  if (path.starts_with('/')) return path;
  size_t start = 0;
  while (path.compare(start, 2, "./") == 0) start += 2;
  return file.substr(0, file.rfind('/') + 1) + path.substr(start);
}

std::string Stem(const std::string& file) {
  auto stem = file.substr(file.rfind('/') + 1);
  if (stem.ends_with(".toml")) stem.resize(stem.size() - std::strlen(".toml"));
  return stem;
}

std::string Problem::ToString() const {
  if (line == 0) return fmt::format("{}: {}", file, message);
  if (column == 0) return fmt::format("{}:{}: {}", file, line, message);
  return fmt::format("{}:{}:{}: {}", file, line, column, message);
}

LoadResult Load(const std::string& file, const LoadOptions& options, const SchemaSources& schemas) {
  return Load(ReadSources(file, options), schemas);
}

LoadResult Load(const Sources& sources, const SchemaSources& schemas) {
  LoadResult result;
  result.problems = sources.problems;
  LoadDaemonFile(sources.daemon, &result);
  LoadPluginFiles(sources.plugins, schemas, &result);
  std::stable_sort(result.problems.begin(), result.problems.end(),
                   [](const Problem& a, const Problem& b) {
                     return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
                   });
  return result;
}

void ParseDaemonFile(std::string_view text, const std::string& file, DaemonConfig* config,
                     std::vector<Problem>* problems) {
  auto parsed = ReadDaemonFile(text, Absolute(file));
  *config = std::move(parsed.config);
  MoveInto(problems, std::move(parsed.problems));
}

void ParsePluginFile(std::string_view text, const std::string& file, PluginConfig* config,
                     std::vector<Problem>* problems) {
  auto parsed = ReadPluginFile(text, Absolute(file));
  *config = std::move(parsed.config);
  MoveInto(problems, std::move(parsed.problems));
}

}  // namespace plugind::config
