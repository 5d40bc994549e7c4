#include "daemon/supervisor/operator_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/base/failpoint.h"
#include "daemon/base/unique_fd.h"

namespace plugind::supervisor {
namespace {

using Json = nlohmann::json;
constexpr int kLayout = 1;
constexpr size_t kMaxBytes = size_t{16} * 1024 * 1024;

std::string FileIn(const std::string& directory) { return directory + "/state.json"; }

std::string Encode(const std::map<std::string, Decision>& decisions) {
  Json plugins = Json::object();
  for (const auto& [name, decision] : decisions) {
    Json& entry = plugins[name] = Json::object();
    if (decision.stopped) entry["stopped"] = true;
    if (decision.enabled) entry["enabled"] = *decision.enabled;
  }
  return Json{{"version", kLayout}, {"plugins", plugins}}.dump(2) + "\n";
}

std::optional<std::map<std::string, Decision>> Decode(const std::string& text) {
  const Json root = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object() || root.value("version", Json()) != kLayout) return std::nullopt;
  const Json plugins = root.value("plugins", Json());
  if (!plugins.is_object()) return std::nullopt;
  std::map<std::string, Decision> decisions;
  for (const auto& [name, entry] : plugins.items()) {
    if (!entry.is_object()) return std::nullopt;
    const Json stopped = entry.value("stopped", Json(false));
    const Json enabled = entry.value("enabled", Json());
    if (!stopped.is_boolean() || (!enabled.is_null() && !enabled.is_boolean())) return std::nullopt;
    Decision& decision = decisions[name];
    decision.stopped = stopped.get<bool>();
    if (enabled.is_boolean()) decision.enabled = enabled.get<bool>();
  }
  return decisions;
}

absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string text;
  std::string chunk(size_t{64} * 1024, '\0');
  while (true) {
    const ssize_t size = ::read(fd, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ErrnoError(errno, "cannot read " + path);
    if (size == 0) return text;
    text.append(chunk, 0, static_cast<size_t>(size));
    if (text.size() > kMaxBytes) return Error(absl::StatusCode::kDataLoss, "{} is too large", path);
  }
}

absl::Status WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ErrnoError(errno, "cannot write " + path);
    text.remove_prefix(static_cast<size_t>(size));
  }
  return absl::OkStatus();
}

// The file at `path` is the old one or, if OK, the new one; which of them a power failure would
// leave is open.
absl::Status ReplaceFile(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  {
    const UniqueFd fd(
        ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.valid()) return ErrnoError(errno, "cannot create " + fresh);
    RETURN_IF_ERROR(WriteAll(fd.get(), text, fresh));
    Failpoint("persist.written");
    if (::fsync(fd.get()) < 0) return ErrnoError(errno, "cannot fsync " + fresh);
  }
  Failpoint("persist.before-rename");
  if (::rename(fresh.c_str(), path.c_str()) < 0) return ErrnoError(errno, "cannot rename " + fresh);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OperatorState> OperatorState::Load(const std::string& directory) {
  OperatorState state(directory);
  const std::string path = FileIn(directory);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    if (errno == ENOENT) return state;
    return ErrnoError(errno, "cannot open " + path);
  }
  ASSIGN_OR_RETURN(const std::string text, ReadAll(fd.get(), path));
  auto decisions = Decode(text);
  if (!decisions)
    return Error(absl::StatusCode::kDataLoss, "{} is damaged: it is not a state file", path);
  state.decisions_ = *std::move(decisions);
  return state;
}

absl::StatusOr<OperatorState> OperatorState::SetAsideAndBegin(const std::string& directory) {
  const std::string path = FileIn(directory);
  if (::rename(path.c_str(), (path + ".damaged").c_str()) < 0) {
    return ErrnoError(errno, "cannot move the damaged " + path + " aside");
  }
  return OperatorState(directory);
}

Decision OperatorState::Get(const std::string& plugin) const {
  const auto it = decisions_.find(plugin);
  return it == decisions_.end() ? Decision{} : it->second;
}

absl::Status OperatorState::Set(const std::string& plugin, const Decision& decision) {
  if (Get(plugin) == decision && durable_) return absl::OkStatus();
  auto changed = decisions_;
  if (decision == Decision{}) {
    changed.erase(plugin);
  } else {
    changed[plugin] = decision;
  }
  const UniqueFd folder(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return ErrnoError(errno, "cannot open " + directory_);
  RETURN_IF_ERROR(ReplaceFile(FileIn(directory_), Encode(changed)));
  decisions_ = std::move(changed);
  durable_ = false;
  Failpoint("persist.renamed");
  if (::fsync(folder.get()) < 0) return ErrnoError(errno, "cannot fsync " + directory_);
  durable_ = true;
  return absl::OkStatus();
}

}  // namespace plugind::supervisor
