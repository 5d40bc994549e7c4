#include "daemon/config/load.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <tuple>
#include <utility>

#include "daemon/base/unique_fd.h"
#include "daemon/config/across.h"
#include "daemon/config/files.h"
#include "daemon/config/screen.h"

namespace plugind::config {
namespace {

namespace fs = std::filesystem;

struct Bytes {
  std::string text;
  int error = 0;       // errno
  std::string reason;  // why the text is not there; empty: it is
};

Bytes ReadWhole(const std::string& file) {
  const auto failed = [](int error) {
    return Bytes{"", error, fmt::format("cannot be read: {}", std::strerror(error))};
  };
  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return failed(errno);
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return failed(errno);
  if (S_ISDIR(status.st_mode)) return failed(EISDIR);
  if (!S_ISREG(status.st_mode)) return {"", EINVAL, "cannot be read: not a regular file"};

  Bytes bytes;
  std::array<char, 16 * 1024> chunk{};
  while (bytes.text.size() <= kMaxFileBytes) {  // Screen refuses what is larger
    const auto count = read(fd.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(errno);
    if (count == 0) break;
    bytes.text.append(chunk.data(), static_cast<size_t>(count));
  }
  return bytes;
}

std::string Absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  std::error_code error;
  const auto folder = fs::current_path(error);
  // A working directory that was removed: the path stays relative, and reading it will fail and say
  // so.
  return error ? path : ResolvePath(path, (folder / "-").string());
}

// The plugin files of a folder in order of name.
std::vector<std::string> PluginFiles(const std::string& folder, std::vector<Problem>* problems) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    if (name.starts_with('.') || !name.ends_with(".toml")) continue;
    std::error_code unknown;  // what cannot be told apart is reported when it is read
    if (!at->is_directory(unknown)) files.push_back(at->path().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    problems->push_back({folder, 0, 0, fmt::format("cannot be read: {}", error.message())});
  }
  std::sort(files.begin(), files.end());
  return files;
}

template <typename T>
void MoveInto(std::vector<T>* all, std::vector<T>&& more) {
  all->insert(all->end(), std::make_move_iterator(more.begin()),
              std::make_move_iterator(more.end()));
}

void LoadDaemonFile(const std::string& file, bool required, LoadResult* result) {
  auto bytes = ReadWhole(file);
  if (!bytes.reason.empty() && (required || bytes.error != ENOENT)) {
    result->problems.push_back({file, 0, 0, bytes.reason});
  }
  auto parsed = ReadDaemonFile(bytes.text, file);
  result->config.daemon = std::move(parsed.config);
  MoveInto(&result->settings, std::move(parsed.settings));
  MoveInto(&result->problems, std::move(parsed.problems));
}

void LoadPluginFiles(const std::string& folder, LoadResult* result) {
  std::vector<PluginFile> files;
  for (const auto& file : PluginFiles(folder, &result->problems)) {
    const auto bytes = ReadWhole(file);
    if (bytes.reason.empty()) {
      files.push_back(ReadPluginFile(bytes.text, file));
    } else {
      // Its name is taken nevertheless, so that others' `after` is not called wrong.
      files.emplace_back();
      files.back().config.name = Stem(file);
      files.back().config.file = file;
      files.back().problems.push_back({file, 0, 0, bytes.reason});
    }
  }
  CheckAcross(files, &result->problems);
  for (auto& file : files) {
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

LoadResult Load(const std::string& file, const LoadOptions& options) {
  LoadResult result;
  const auto daemon_file = Absolute(file);
  LoadDaemonFile(daemon_file, options.file_required, &result);
  LoadPluginFiles(ResolvePath("plugins.d", daemon_file), &result);
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
