#include "daemon/pluginctl/conformance/settings_file.h"

#include <google/protobuf/util/json_util.h>

#include <fstream>
#include <iterator>
#include <variant>

#include "daemon/config/document.h"
#include "daemon/config/json.h"

namespace plugind::pluginctl::conformance {
namespace {

absl::StatusOr<std::string> TomlAsJson(const std::string& path, const std::string& text) {
  const auto parsed = config::ParseDocument(text);
  absl::Status trouble;
  const auto reject = [&](config::Position at, const std::string& message) {
    if (trouble.ok())
      trouble = Error(absl::StatusCode::kInvalidArgument, "{}:{}:{}: {}", path, at.line, at.column,
                      message);
  };
  if (const auto* objection = std::get_if<config::Objection>(&parsed))
    reject(objection->at, objection->message);
  std::string json;
  if (const auto* table = std::get_if<config::Table>(&parsed))
    json = config::SettingsAsJson(*table, reject);
  RETURN_IF_ERROR(trouble);
  return json;
}

}  // namespace

absl::StatusOr<google::protobuf::Struct> ReadSettings(const std::string& path) {
  std::ifstream file(path);
  if (!file) return ErrnoError(errno, path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!path.ends_with(".json")) {
    ASSIGN_OR_RETURN(text, TomlAsJson(path, text));
  }
  google::protobuf::Struct settings;
  const auto parsed = google::protobuf::util::JsonStringToMessage(text, &settings);
  if (!parsed.ok()) {
    return Error(absl::StatusCode::kInvalidArgument, "{}: it is not a JSON object: {}", path,
                 std::string(parsed.message()));
  }
  return settings;
}

}  // namespace plugind::pluginctl::conformance
