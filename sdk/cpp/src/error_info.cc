// google.rpc.Status, Any and ErrorInfo, read by hand: see wire_fields.h.
#include <grpcpp/support/status.h>

#include <string>
#include <string_view>
#include <utility>

#include "plugind/client.h"
#include "sdk/cpp/src/wire_fields.h"

namespace plugind {
namespace {

using sdk::WireFields;

bool IsErrorInfo(std::string_view type_url) {
  return type_url.substr(type_url.rfind('/') + 1) == "google.rpc.ErrorInfo";
}

// Nothing if it is another domain's, or malformed.
std::optional<ErrorInfo> ParseErrorInfo(std::string_view message) {
  ErrorInfo info;
  std::string_view domain;
  WireFields field(message);
  while (field.Next()) {
    if (field.Is(1)) info.reason = field.bytes();
    if (field.Is(2)) domain = field.bytes();
    if (field.Is(3)) {
      std::pair<std::string, std::string> entry;
      if (!sdk::ReadEntry(field.bytes(), entry)) return std::nullopt;
      info.metadata[std::move(entry.first)] = std::move(entry.second);
    }
  }
  if (field.malformed() || domain != "plugind") return std::nullopt;
  return info;
}

std::optional<ErrorInfo> ParseAny(std::string_view message) {
  std::string_view type_url;
  std::string_view value;
  WireFields field(message);
  while (field.Next()) {
    if (field.Is(1)) type_url = field.bytes();
    if (field.Is(2)) value = field.bytes();
  }
  if (field.malformed() || !IsErrorInfo(type_url)) return std::nullopt;
  return ParseErrorInfo(value);
}

}  // namespace

std::optional<ErrorInfo> error_info(const grpc::Status& status) {
  const std::string details = status.error_details();
  std::optional<ErrorInfo> found;
  WireFields field(details);
  while (field.Next()) {
    if (field.Is(3) && !found) found = ParseAny(field.bytes());
  }
  if (field.malformed()) return std::nullopt;
  return found;
}

}  // namespace plugind
