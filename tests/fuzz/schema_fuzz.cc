// A JSON Schema that a plugin publishes and settings to be held to it, with a NUL byte between
// them. What must hold: complaints are short and printable; what is told of a setting has its path;
// and settings fit {"not": S} exactly when they do not fit S.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/config/schema.h"

namespace plugind::config {
namespace {

constexpr size_t kLongest = 16 * 1024;  // of a message: an alternative may quote several others

void Require(bool holds, std::string_view what, std::string_view detail) {
  if (holds) return;
  fmt::print(stderr, "{}: {}\n", what, detail);
  std::abort();
}

void RequirePrintable(std::string_view text) {
  Require(!text.empty(), "no message", text);
  Require(text.size() <= kLongest, "a long message", text);
  Require(std::none_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }),
          "an unprintable message", text);
}

// What is read otherwise inside another schema.
bool MeansTheSameInside(std::string_view schema) {
  return schema.find('$') == std::string_view::npos && schema.find("\\u") == std::string_view::npos;
}

bool GaveUp(const std::vector<Misfit>& misfits) {
  return misfits.size() == 1 && misfits[0].path.empty() &&
         misfits[0].reason.starts_with("cannot be checked");
}

void CheckBoth(std::string_view schema, std::string_view settings) {
  std::string error;
  const auto compiled = Schema::Compile(schema, &error);
  if (!compiled) return RequirePrintable(error);
  const auto misfits = compiled->Check(settings);
  Require(misfits.size() <= kMaxMisfits, "too many", schema);
  for (const auto& misfit : misfits) {
    RequirePrintable(misfit.ToString());
    Require(misfit.field.empty() == misfit.path.empty(), "a path without a name", misfit.reason);
  }
  if (!MeansTheSameInside(schema)) return;
  const auto negated = Schema::Compile(fmt::format(R"({{"not":{}}})", schema), &error);
  if (!negated) return;  // one level too deep
  const auto otherwise = negated->Check(settings);
  const bool broken = !otherwise.empty() && otherwise[0].reason.starts_with("not JSON");
  const bool deep = !otherwise.empty() && otherwise[0].reason.starts_with("nested deeper");
  if (broken || deep || GaveUp(misfits) || GaveUp(otherwise)) return;
  Require(misfits.empty() != otherwise.empty(), "neither fits, or both", schema);
}

}  // namespace
}  // namespace plugind::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t middle = std::min(all.find('\0'), all.size());
  plugind::config::CheckBoth(all.substr(0, middle), all.substr(std::min(middle + 1, all.size())));
  return 0;
}
