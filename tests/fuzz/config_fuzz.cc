// Any bytes as plugind.toml and as a plugin's file. What must hold: every complaint has a place
// inside the file and is printable; a file without complaint, printed with all its defaults, loads
// to the same values again.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/config/files.h"

namespace plugind::config {
namespace {

constexpr auto kFile = "/etc/plugind/plugins.d/fuzz.toml";

void Require(bool holds, std::string_view what, std::string_view detail) {
  if (holds) return;
  fmt::print(stderr, "{}: {}\n", what, detail);
  std::abort();
}

void RequirePlace(const Problem& problem, std::string_view text) {
  if (problem.line == 0) {
    Require(problem.column == 0, "a column without a line", problem.ToString());
    return;
  }
  std::string_view rest = text;
  for (uint32_t line = 1; line < problem.line; ++line) {
    const size_t end = rest.find('\n');
    Require(end != std::string_view::npos, "a line behind the end", problem.ToString());
    rest.remove_prefix(end + 1);
  }
  // One past the last byte is where something is missing, two where that is the line end itself.
  const size_t length = std::min(rest.find('\n'), rest.size());
  Require(problem.column >= 1 && problem.column <= length + 2, "a column behind the end",
          problem.ToString());
}

void RequireSound(const std::vector<Problem>& problems, std::string_view text) {
  for (const auto& problem : problems) {
    Require(problem.file == kFile, "another file", problem.ToString());
    Require(!problem.message.empty(), "no message", problem.ToString());
    Require(std::none_of(problem.message.begin(), problem.message.end(),
                         [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }),
            "an unprintable message", problem.ToString());
    RequirePlace(problem, text);
  }
}

void ReadAsDaemonFile(std::string_view text) {
  const auto read = ReadDaemonFile(text, kFile);
  RequireSound(read.problems, text);
  if (!read.problems.empty()) return;
  const auto printed = ToToml(read.settings, "", ShowOrigin::kYes);
  const auto again = ReadDaemonFile(printed, kFile);
  Require(again.problems.empty() && again.config == read.config, "printed otherwise", printed);
}

void ReadAsPluginFile(std::string_view text) {
  const auto read = ReadPluginFile(text, kFile);
  RequireSound(read.problems, text);
  if (!read.problems.empty()) return;
  const auto printed = ToToml(read.settings, read.config.name, ShowOrigin::kYes);
  const auto again = ReadPluginFile(printed, kFile);
  Require(again.problems.empty() && again.config == read.config, "printed otherwise", printed);
}

}  // namespace
}  // namespace plugind::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  plugind::config::ReadAsDaemonFile(text);
  plugind::config::ReadAsPluginFile(text);
  return 0;
}
