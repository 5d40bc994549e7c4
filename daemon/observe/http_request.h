// The head of an HTTP/1 request, as far as a server of a few fixed pages must understand it: strict
// about what is no HTTP, deaf to what it does not need. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace plugind::observe {

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // "/metrics", as it was sent: not decoded
  std::string query;   // behind the '?', without it
};

inline constexpr size_t kMaxHttpHead = size_t{8} * 1024;

struct ParsedHttp {
  enum class Result {
    kIncomplete,  // more bytes are needed
    kComplete,
    kMalformed,     // 400
    kTooLarge,      // 431: no end of the head within kMaxHttpHead
    kOtherVersion,  // 505
  };
  Result result = Result::kIncomplete;
  HttpRequest request;  // of what is complete
};

// `bytes`: all that has come so far.
ParsedHttp ParseHttpHead(std::string_view bytes);

}  // namespace plugind::observe
