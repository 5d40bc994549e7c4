// The small texts in a call that the gateway reads or writes: paths, timeouts, metadata, traces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "daemon/gateway/grpc_wire.h"
#include "daemon/gateway/metadata.h"
#include "daemon/gateway/method_path.h"

namespace {

using plugind::gateway::Classify;
using plugind::gateway::Code;
using plugind::gateway::EncodeErrorInfo;
using plugind::gateway::FormatTimeout;
using plugind::gateway::HeaderKind;
using plugind::gateway::IsTraceparent;
using plugind::gateway::ParseMethodPath;
using plugind::gateway::ParseTimeout;
using plugind::gateway::PercentEncode;
using plugind::gateway::TraceId;

void Require(bool holds) {
  if (!holds) std::abort();
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

std::string PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    Require(i + 2 < text.size());
    out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
    i += 2;
  }
  return out;
}

void CheckPath(std::string_view text) {
  const auto path = ParseMethodPath(text);
  if (!path) return;
  Require("/" + std::string(path->service) + "/" + std::string(path->method) == text);
  Require(text.find("..") == std::string_view::npos && text.find("//") == std::string_view::npos);
  Require(text.find_first_of("%?#*\\ ") == std::string_view::npos && IsPrintable(text));
}

void CheckTimeout(std::string_view text) {
  const auto timeout = ParseTimeout(text);
  if (!timeout) return;
  Require(*timeout >= plugind::Duration::zero());
  // What is passed on is never longer, and shorter by less than its last digit.
  const auto again = ParseTimeout(FormatTimeout(*timeout));
  Require(again && *again <= *timeout);
  Require(*timeout == plugind::Duration::max() || *timeout - *again <= *timeout / 1000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t split = std::min(input.find('\n'), size);
  const std::string_view first = input.substr(0, split);
  const std::string_view second = split < size ? input.substr(split + 1) : std::string_view();

  CheckPath(first);
  CheckTimeout(first);
  const HeaderKind kind = Classify(first, second);
  if (kind == HeaderKind::kPass || kind == HeaderKind::kReserved) {
    Require(!first.empty() && IsPrintable(first) && IsPrintable(second));
    Require((kind == HeaderKind::kReserved) == first.starts_with("plugind-"));
    Require(first != "te" && first != "grpc-timeout" && first != "connection");
  }
  const std::string encoded = PercentEncode(input);
  Require(IsPrintable(encoded) && PercentDecode(encoded) == input);
  const std::string info =
      EncodeErrorInfo(Code::kUnavailable, first, "REASON", {{"method", std::string(second)}});
  Require(
      info.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") ==
      std::string::npos);
  if (IsTraceparent(first)) Require(TraceId(first).size() == 32 && IsPrintable(first));
  return 0;
}
