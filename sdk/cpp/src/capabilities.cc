#include "sdk/cpp/src/capabilities.h"

#include <algorithm>
#include <charconv>

#include "sdk/cpp/src/failure.h"

namespace plugind::sdk {
namespace {

// As plugin.proto has it: more than these, and a host refuses the whole answer.
constexpr size_t kMaxName = 128;
constexpr size_t kMaxVersions = 16;
constexpr size_t kMaxCapabilities = 256;

bool IsName(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxName && std::all_of(name.begin(), name.end(), allowed);
}

std::optional<int> Number(std::string_view digits) {
  int number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 0) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::optional<std::pair<int, int>> ParseVersion(std::string_view text) {
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto major = Number(text.substr(0, dot));
  const auto minor = Number(text.substr(dot + 1));
  if (!major || !minor) return std::nullopt;
  return std::pair(*major, *minor);
}

void Capabilities::Add(const std::string& name, const std::string& version, bool required) {
  if (!IsName(name)) {
    throw Failure("\"" + name + "\" is no name of a capability: 1 to " + std::to_string(kMaxName) +
                  " letters, digits, \"-\", \"_\" and \".\"");
  }
  const auto parsed = ParseVersion(version);
  if (!parsed) {
    throw Failure("capability " + name + ": \"" + version + "\" is no version: MAJOR.MINOR");
  }
  Entry& entry = entries_[name];
  entry.required |= required;
  const auto [major, minor] = *parsed;
  const auto known = entry.minors.emplace(major, minor).first;
  known->second = std::max(known->second, minor);
  if (entry.minors.size() > kMaxVersions) {
    throw Failure("capability " + name + " has more than " + std::to_string(kMaxVersions) +
                  " major versions");
  }
  if (entries_.size() > kMaxCapabilities) {
    throw Failure("a plugin has at most " + std::to_string(kMaxCapabilities) + " capabilities");
  }
}

std::vector<Capability> Capabilities::All() const {
  std::vector<Capability> all;
  for (const auto& [name, entry] : entries_) {
    Capability capability{name, {}, entry.required};
    for (const auto& [major, minor] : entry.minors) {
      capability.versions.push_back(std::to_string(major) + "." + std::to_string(minor));
    }
    all.push_back(std::move(capability));
  }
  return all;
}

}  // namespace plugind::sdk
