#include "daemon/config/across.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <string>

#include "daemon/config/suggest.h"

namespace plugind::config {
namespace {

using ByName = std::map<std::string, const PluginFile*>;

Problem At(const PluginFile& file, Position at, std::string message) {
  return {file.config.file, at.line, at.column, std::move(message)};
}

ByName CheckNames(const std::vector<PluginFile>& files, std::vector<Problem>* problems) {
  ByName by_name;
  for (const auto& file : files) {
    const auto [first, added] = by_name.emplace(file.config.name, &file);
    if (added) continue;
    const auto& other = *first->second;
    const Problem place = At(other, other.name_at, "");
    auto where = place.file;
    if (place.line > 0) where += fmt::format(":{}:{}", place.line, place.column);
    problems->push_back(
        At(file, file.name_at,
           fmt::format("plugin \"{}\" is already defined by {}", file.config.name, where)));
  }
  return by_name;
}

void CheckKnown(const std::vector<PluginFile>& files, const ByName& by_name,
                std::vector<Problem>* problems) {
  std::vector<std::string> names;
  for (const auto& [name, file] : by_name) names.push_back(name);
  for (const auto& file : files) {
    for (size_t i = 0; i < file.config.after.size(); ++i) {
      const auto& peer = file.config.after[i];
      if (by_name.contains(peer)) continue;
      problems->push_back(At(
          file, file.after_at[i],
          fmt::format("\"after\": there is no plugin {}{}", Shown(peer), DidYouMean(peer, names))));
    }
  }
}

// The plugins that are on a circle or lead to one: what is left when those whose `after` are all
// done are taken away, again and again.
std::set<std::string> Undoable(const ByName& by_name) {
  std::map<std::string, size_t> missing;
  std::map<std::string, std::vector<std::string>> followers;
  std::queue<std::string> done;
  for (const auto& [name, file] : by_name) {
    for (const auto& peer : file->config.after) {
      if (!by_name.contains(peer)) continue;
      ++missing[name];
      followers[peer].push_back(name);
    }
    if (missing[name] == 0) done.push(name);
  }
  std::set<std::string> left;
  for (const auto& [name, file] : by_name) left.insert(name);
  for (; !done.empty(); done.pop()) {
    left.erase(done.front());
    for (const auto& follower : followers[done.front()]) {
      if (--missing[follower] == 0) done.push(follower);
    }
  }
  return left;
}

// The shortest way along `after` from `start` back to it, both ends included; empty when there is
// none.
std::vector<std::string> CircleThrough(const std::string& start, const ByName& by_name,
                                       const std::set<std::string>& among) {
  std::map<std::string, std::string> from;  // whom each was reached by
  std::queue<std::string> next;
  for (next.push(start); !next.empty(); next.pop()) {
    const auto name = next.front();
    for (const auto& peer : by_name.at(name)->config.after) {
      if (!among.contains(peer) || !from.emplace(peer, name).second) continue;
      if (peer != start) {
        next.push(peer);
        continue;
      }
      std::vector<std::string> circle = {start};
      for (auto at = name; at != start; at = from.at(at)) circle.insert(circle.begin(), at);
      circle.insert(circle.begin(), start);
      return circle;
    }
  }
  return {};
}

// Each circle once, at the `after` of the plugin in it whose name comes first; of circles that
// share a plugin, one.
void CheckCircles(const ByName& by_name, std::vector<Problem>* problems) {
  auto left = Undoable(by_name);
  while (!left.empty()) {
    const auto start = *left.begin();
    const auto circle = CircleThrough(start, by_name, left);
    left.erase(start);
    if (circle.empty()) continue;
    for (const auto& name : circle) left.erase(name);
    const auto& file = *by_name.at(start);
    const auto& after = file.config.after;
    const auto index = std::find(after.begin(), after.end(), circle[1]) - after.begin();
    problems->push_back(
        At(file, file.after_at[static_cast<size_t>(index)],
           fmt::format("\"after\" goes in a circle: {}", fmt::join(circle, " → "))));
  }
}

}  // namespace

void CheckAcross(const std::vector<PluginFile>& files, std::vector<Problem>* problems) {
  const auto by_name = CheckNames(files, problems);
  CheckKnown(files, by_name, problems);
  CheckCircles(by_name, problems);
}

}  // namespace plugind::config
