#include "daemon/config/sources.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "daemon/base/codec.h"
#include "daemon/config/files.h"
#include "daemon/config/load.h"
#include "daemon/config/screen.h"

namespace plugind::config {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kSnapshotLayout = 1;

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

SourceFile ReadSource(const std::string& file) {
  Bytes bytes = ReadWhole(file);
  return {file, std::move(bytes.text), std::move(bytes.reason)};
}

void Put(Writer& writer, const SourceFile& file) { writer.Put(file.path).Put(file.text); }
SourceFile GetFile(Reader& reader) {
  SourceFile file;
  file.path = reader.GetString();
  file.text = reader.GetString();
  return file;
}

}  // namespace

std::string Absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  std::error_code error;
  const auto folder = fs::current_path(error);
  // A working directory that was removed: the path stays relative, and reading it will fail and say
  // so.
  return error ? path : ResolvePath(path, (folder / "-").string());
}

void Sources::TakePlugin(const std::string& path, const Sources& other) {
  std::erase_if(plugins, [&](const SourceFile& file) { return file.path == path; });
  std::ranges::copy_if(other.plugins, std::back_inserter(plugins),
                       [&](const SourceFile& file) { return file.path == path; });
  std::ranges::sort(plugins, {}, &SourceFile::path);
}

Sources ReadSources(const std::string& file, const LoadOptions& options) {
  Sources sources;
  const std::string daemon_file = Absolute(file);
  Bytes bytes = ReadWhole(daemon_file);
  sources.daemon = {daemon_file, std::move(bytes.text), ""};
  if (options.file_required || bytes.error != ENOENT) sources.daemon.trouble = bytes.reason;
  for (const auto& path : PluginFiles(ResolvePath("plugins.d", daemon_file), &sources.problems)) {
    sources.plugins.push_back(ReadSource(path));
  }
  return sources;
}

UniqueFd WriteSnapshot(const Sources& sources) {
  Writer writer;
  writer.Put(kSnapshotLayout);
  Put(writer, sources.daemon);
  writer.Put(static_cast<uint32_t>(sources.plugins.size()));
  for (const auto& file : sources.plugins) Put(writer, file);
  UniqueFd fd(::memfd_create("plugind config", MFD_CLOEXEC));
  if (!fd.valid()) return fd;
  std::string_view rest = writer.bytes();
  while (!rest.empty()) {
    const ssize_t size = ::write(fd.get(), rest.data(), rest.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return UniqueFd();
    rest.remove_prefix(static_cast<size_t>(size));
  }
  return fd;
}

bool ReadSnapshot(const UniqueFd& fd, Sources* sources) {
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) return false;
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t size =
        ::pread(fd.get(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    have += static_cast<size_t>(size);
  }
  Reader reader(bytes);
  if (reader.Get<uint32_t>() != kSnapshotLayout) return false;
  *sources = Sources();
  sources->daemon = GetFile(reader);
  const auto count = reader.Get<uint32_t>();
  for (uint32_t i = 0; reader.ok() && i < count; ++i) sources->plugins.push_back(GetFile(reader));
  return reader.Done();
}

}  // namespace plugind::config
