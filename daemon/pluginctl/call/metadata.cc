#include "daemon/pluginctl/call/metadata.h"

#include <absl/strings/escaping.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {
namespace {

// What a server takes in all is 8 KiB, and more than that costs the whole connection; the path and
// gRPC's own headers are in it too.
constexpr size_t kMostBytes = 6 * 1024;
constexpr size_t kBytesPerHeader = 32;  // as HTTP/2 counts them

// Those that HTTP/2 forbids and those that gRPC sets itself.
constexpr std::array<std::string_view, 9> kNotYours = {
    "connection", "content-length", "content-type",      "host",      "keep-alive",
    "te",         "upgrade",        "transfer-encoding", "user-agent"};

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string CheckKey(std::string_view key) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  if (key.empty() || !std::ranges::all_of(key, allowed)) {
    return fmt::format("\"{}\" is no key: it may have a-z 0-9 - _ . only", Printable(key));
  }
  if (key.starts_with("grpc-") || std::ranges::find(kNotYours, key) != kNotYours.end())
    return fmt::format("{} is set by gRPC itself", key);
  if (key.starts_with("plugind-")) return fmt::format("{} is set by plugind itself", key);
  return "";
}

}  // namespace

std::string ParseHeader(const std::string& text, Metadata* headers) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos)
    return fmt::format("\"{}\" is not of the form KEY: VALUE", Printable(text));
  std::string key(Trim(std::string_view(text).substr(0, colon)));
  std::ranges::transform(key, key.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  if (std::string wrong = CheckKey(key); !wrong.empty()) return wrong;

  std::string value(Trim(std::string_view(text).substr(colon + 1)));
  if (key.ends_with("-bin")) {
    std::string bytes;
    if (!absl::Base64Unescape(value, &bytes))
      return fmt::format("{}: a binary value is given in base64", key);
    value = std::move(bytes);
  } else if (!std::ranges::all_of(value, [](char c) { return c >= 0x20 && c <= 0x7e; })) {
    return fmt::format("{}: a value has printable ASCII only; a key in -bin takes any bytes", key);
  }

  headers->emplace_back(std::move(key), std::move(value));
  size_t bytes = 0;
  for (const auto& [each, its] : *headers) bytes += each.size() + its.size() + kBytesPerHeader;
  if (bytes > kMostBytes) return fmt::format("more than {} bytes of headers", kMostBytes);
  return "";
}

std::string Render(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                   const std::string& prefix) {
  std::string lines;
  for (const auto& [key, value] : metadata) {
    const std::string name(key.data(), key.size());
    const std::string text = name.ends_with("-bin")
                                 ? absl::Base64Escape({value.data(), value.size()})
                                 : Printable({value.data(), value.size()});
    lines += fmt::format("{}{}: {}\n", prefix, Printable(name), text);
  }
  return lines;
}

}  // namespace plugind::pluginctl
