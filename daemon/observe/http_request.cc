#include "daemon/observe/http_request.h"

#include <algorithm>

namespace plugind::observe {
namespace {

using Result = ParsedHttp::Result;

constexpr std::string_view kLineEnd = "\r\n";
constexpr size_t kLongestMethod = 32;

// RFC 9110, 5.6.2: what a method or a field's name is made of.
bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    const bool alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool IsVisible(char c) { return c > ' ' && c <= '~'; }

bool IsFieldValue(std::string_view text) {
  return std::ranges::none_of(
      text, [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == '\x7f'; });
}

std::string_view TakeLine(std::string_view& rest) {
  const size_t end = rest.find(kLineEnd);
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(rest.size(), line.size() + kLineEnd.size()));
  return line;
}

bool SameName(std::string_view name, std::string_view lower) {
  return std::ranges::equal(name, lower, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

// "GET /path?query HTTP/1.1"; the target is a path, no proxy's absolute form.
Result ParseRequestLine(std::string_view line, HttpRequest* request, bool* host_required) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) return Result::kMalformed;
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!IsToken(method) || method.size() > kLongestMethod) return Result::kMalformed;
  if (!target.starts_with('/') || !std::ranges::all_of(target, IsVisible))
    return Result::kMalformed;
  if (!version.starts_with("HTTP/")) return Result::kMalformed;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return Result::kOtherVersion;
  *host_required = version == "HTTP/1.1";
  const size_t question = target.find('?');
  request->method = method;
  request->path = target.substr(0, question);
  if (question != std::string_view::npos) request->query = target.substr(question + 1);
  return Result::kComplete;
}

}  // namespace

ParsedHttp ParseHttpHead(std::string_view bytes) {
  ParsedHttp parsed;
  const size_t end = bytes.substr(0, kMaxHttpHead).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    const bool token = bytes.empty() || IsToken(bytes.substr(0, 1));
    if (!token) {
      parsed.result = Result::kMalformed;  // TLS, say: it need not wait to be told
    } else if (bytes.size() >= kMaxHttpHead) {
      parsed.result = Result::kTooLarge;
    }
    return parsed;
  }
  std::string_view head = bytes.substr(0, end + kLineEnd.size());
  bool host_required = false;
  parsed.result = ParseRequestLine(TakeLine(head), &parsed.request, &host_required);
  size_t hosts = 0;
  while (parsed.result == Result::kComplete && !head.empty()) {
    const std::string_view line = TakeLine(head);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !IsToken(line.substr(0, colon)) ||
        !IsFieldValue(line.substr(colon + 1))) {
      parsed.result = Result::kMalformed;
    } else if (SameName(line.substr(0, colon), "host")) {
      ++hosts;
    }
  }
  if (parsed.result == Result::kComplete && (hosts > 1 || (host_required && hosts == 0)))
    parsed.result = Result::kMalformed;
  return parsed;
}

}  // namespace plugind::observe
