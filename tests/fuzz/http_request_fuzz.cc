// Any bytes as a request to the page of metrics. What must hold: a verdict does not depend on how
// much more has come; what is taken is what was sent: a token, a path without a space, its query.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/observe/http_request.h"

namespace {

using plugind::observe::HttpRequest;
using plugind::observe::kMaxHttpHead;
using plugind::observe::ParseHttpHead;
using Result = plugind::observe::ParsedHttp::Result;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void RequireSent(const HttpRequest& request, std::string_view bytes) {
  std::string target = request.path;
  if (bytes.substr(request.method.size() + 1 + target.size()).starts_with('?'))
    target += "?" + request.query;
  Require(bytes.starts_with(request.method + " " + target + " HTTP/1."), "not what was sent");
  Require(request.path.starts_with('/'), "no path");
  Require((request.path + request.query).find_first_of(" \r\n") == std::string::npos, "a break");
  Require(request.path.find('?') == std::string::npos, "a query in the path");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = ParseHttpHead(bytes);
  if (whole.result == Result::kIncomplete) Require(size < kMaxHttpHead, "it would wait for ever");
  if (whole.result == Result::kComplete) RequireSent(whole.request, bytes);
  // In pieces, the first verdict is final.
  for (size_t length = 0; length < size; ++length) {
    const auto part = ParseHttpHead(bytes.substr(0, length));
    if (part.result == Result::kIncomplete) continue;
    Require(part.result == whole.result && part.request.path == whole.request.path,
            "another verdict for a part");
    break;
  }
  return 0;
}
