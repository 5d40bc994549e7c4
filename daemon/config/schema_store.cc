#include "daemon/config/schema_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/base/unique_fd.h"

namespace plugind::config {
namespace {

using Json = nlohmann::json;

constexpr int kLayout = 1;
// A schema with every byte escaped, and the names of the command's files.
constexpr size_t kMaxStoredBytes = 8 * kMaxSchemaBytes;

std::string FileOf(const std::string& state_dir, const PluginConfig& plugin) {
  return fmt::format("{}/schemas/{}.json", state_dir, plugin.name);
}

// What tells a file from the one that replaced it.
Json Fingerprint(const std::string& path) {
  struct stat at {};
  if (::stat(path.c_str(), &at) != 0 || !S_ISREG(at.st_mode)) return nullptr;
  constexpr int64_t kNanoseconds = 1'000'000'000;
  return {{"path", path},
          {"device", at.st_dev},
          {"inode", at.st_ino},
          {"size", at.st_size},
          {"modified", at.st_mtim.tv_sec * kNanoseconds + at.st_mtim.tv_nsec}};
}

// The command's files as they are now: with `python3 /opt/kv.py`, both.
Json CommandFiles(const PluginConfig& plugin) {
  Json files = Json::array();
  for (const auto& word : plugin.command) {
    const bool absolute = word.starts_with('/');
    if (!absolute && plugin.working_directory.empty()) continue;
    if (Json file = Fingerprint(absolute ? word : plugin.working_directory + "/" + word);
        !file.is_null()) {
      files.push_back(std::move(file));
    }
  }
  return files;
}

// Why `stored` is not of the command's files as they are now; empty: it is.
std::string Outdated(const Json& stored, const PluginConfig& plugin) {
  if (stored.value("command", Json()) != Json(plugin.command)) return "its command is another one";
  const Json before = stored.value("files", Json());
  const Json now = CommandFiles(plugin);
  if (before == now) return "";
  for (size_t i = 0; i < now.size(); ++i) {
    if (!before.is_array() || i >= before.size() || before[i] != now[i]) {
      return fmt::format("{} has changed since", now[i]["path"].get<std::string>());
    }
  }
  return "its command's files have changed since";
}

// False with errno set.
bool ReadFile(const std::string& path, size_t limit, std::string* text) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return false;
  text->resize(limit + 1);
  size_t size = 0;
  while (size < text->size()) {
    const ssize_t got = ::read(fd.get(), text->data() + size, text->size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text->resize(size);
  errno = size > limit ? EFBIG : 0;
  return size <= limit;
}

bool WriteFile(const std::string& path, std::string_view text) {
  const UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return false;
  while (!text.empty()) {
    const ssize_t put = ::write(fd.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    text.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

bool Fail(std::string* error, std::string_view what, const std::string& path) {
  *error = fmt::format("cannot {} {}: {}", what, path, std::strerror(errno));
  return false;
}

}  // namespace

bool SaveSchema(const std::string& state_dir, const PluginConfig& plugin, std::string_view text,
                std::string* error) {
  const std::string path = FileOf(state_dir, plugin);
  if (text.empty()) {
    return ::unlink(path.c_str()) == 0 || errno == ENOENT || Fail(error, "remove", path);
  }
  const std::string stored = Json{{"version", kLayout},
                                  {"command", plugin.command},
                                  {"files", CommandFiles(plugin)},
                                  {"schema", text}}
                                 .dump(2, ' ', false, Json::error_handler_t::replace) +
                             "\n";
  std::string before;
  if (ReadFile(path, kMaxStoredBytes, &before) && before == stored) return true;
  const std::string folder = state_dir + "/schemas";
  if (::mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST) return Fail(error, "create", folder);
  // A crash leaves the one or the other; a power failure perhaps an empty file, which is outdated.
  const std::string fresh = path + ".new";
  if (!WriteFile(fresh, stored)) return Fail(error, "write", fresh);
  return ::rename(fresh.c_str(), path.c_str()) == 0 || Fail(error, "rename", fresh);
}

std::optional<StoredSchema> LoadSchema(const std::string& state_dir, const PluginConfig& plugin) {
  StoredSchema stored{FileOf(state_dir, plugin), "", ""};
  std::string text;
  if (!ReadFile(stored.file, kMaxStoredBytes, &text)) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    stored.outdated = fmt::format("it cannot be read: {}", std::strerror(errno));
    return stored;
  }
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const Json schema = json.is_object() ? json.value("schema", Json()) : Json();
  if (!schema.is_string() || json.value("version", Json()) != kLayout) {
    stored.outdated = "the file is damaged";
    return stored;
  }
  stored.text = schema.get<std::string>();
  stored.outdated = Outdated(json, plugin);
  return stored;
}

bool ReadSchemaFile(const std::string& path, std::string* text, std::string* error) {
  return ReadFile(path, kMaxSchemaBytes, text) || Fail(error, "read", path);
}

std::optional<Schema> SchemaInForce(const PluginConfig& plugin, std::string_view published,
                                    std::string* error) {
  std::string text(published);
  std::string source = "its config_schema";
  if (!plugin.config_schema.empty()) {
    source = plugin.config_schema;
    if (!ReadSchemaFile(plugin.config_schema, &text, error)) return std::nullopt;
  }
  if (text.empty()) return std::nullopt;
  auto schema = Schema::Compile(text, error);
  if (!schema) *error = fmt::format("{} {}", source, *error);
  return schema;
}

}  // namespace plugind::config
