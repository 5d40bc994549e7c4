#include "daemon/pluginctl/author/plugin_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <optional>
#include <variant>

#include "daemon/config/document.h"
#include "daemon/config/syntax.h"
#include "daemon/config/value.h"

namespace plugind::pluginctl {
namespace {

using config::Entry;
using config::Table;

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t from = 0; from <= text.size();) {
    const size_t end = std::min(text.find('\n', from), text.size());
    lines.emplace_back(text.substr(from, end - from));
    from = end + 1;
  }
  return lines;
}

std::string Joined(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

std::string AsText(const Table& table) { return config::ToToml(config::Value{{}, table}); }

const Entry* Find(const Table& table, std::string_view key) {
  const auto found = std::ranges::find(table, key, &Entry::key);
  return found == table.end() ? nullptr : &*found;
}

// Empties the lines of one top-level key. Where a value ends is not known of it: the shortest piece
// is taken without which the document is the same but for that key. False: there is none, as when
// dotted keys of one table lie apart.
bool Cut(std::vector<std::string>* lines, Table* table, std::string_view key) {
  const Entry* entry = Find(*table, key);
  if (entry == nullptr) return true;
  Table without = *table;
  std::erase_if(without, [&](const Entry& each) { return each.key == key; });
  const std::string expected = AsText(without);
  std::vector<std::string> trial = *lines;
  for (size_t i = entry->at.line - 1; entry->at.line > 0 && i < trial.size(); ++i) {
    trial[i].clear();
    const auto parsed = config::ParseDocument(Joined(trial));
    const auto* rest = std::get_if<Table>(&parsed);
    if (rest == nullptr || AsText(*rest) != expected) continue;
    *lines = std::move(trial);
    *table = *rest;
    return true;
  }
  return false;
}

// What does not hold in a daemon of its own: peers to wait for, being disabled, another user than
// the one who looks on and whose folder it is.
constexpr const char* kReplaced[] = {"command", "name", "enabled", "after", "user", "group"};
// Relative ones start at the file, and the private one is elsewhere.
constexpr const char* kPaths[] = {"working_directory", "config_schema"};
// What does not hold where the process that plugind starts is not the plugin.
constexpr const char* kImpatient[] = {"start_timeout", "health",    "call",
                                      "stop",          "restart",   "backoff",
                                      "quarantine",    "auto_mtls", "limits"};

}  // namespace

PrivateFile ComposePluginFile(const AuthorFile& author, const PluginFileOptions& options) {
  PrivateFile file;
  const auto document = config::ParseDocument(author.text);
  if (const auto* objection = std::get_if<config::Objection>(&document)) {
    file.problems.push_back(
        {author.path, objection->at.line, objection->at.column, objection->message});
    return file;
  }
  Table table = std::get<Table>(document);
  std::vector<std::string> front = {"command = " + config::ToToml(options.command)};
  std::string back;
  std::vector<std::string> replaced(std::begin(kReplaced), std::end(kReplaced));
  for (const char* key : kPaths) {
    const Entry* entry = Find(table, key);
    const auto* path = entry == nullptr ? nullptr : entry->value.As<std::string>();
    if (path == nullptr || path->empty()) continue;
    const auto folder = std::filesystem::path(author.path).parent_path();
    front.push_back(
        fmt::format("{} = {}", key, config::Quote((folder / *path).lexically_normal().string())));
    replaced.emplace_back(key);
  }
  if (options.patient) {
    front.emplace_back(R"(start_timeout = "24h")");
    front.emplace_back(R"(health = { interval = "24h", timeout = "24h", failures = 1000 })");
    front.emplace_back(R"(call = { timeout = "24h" })");
    // A debugger makes each new thread take its time. One that stands at a breakpoint ends later.
    front.emplace_back(R"(stop = { drain = "0s", shutdown = "5s", grace = "1s" })");
    // Its end is the author's doing, and he starts it again as often as he likes.
    front.emplace_back(R"(restart = "always")");
    front.emplace_back(R"(backoff = { initial = "50ms", max = "50ms" })");
    front.emplace_back(R"(quarantine = { failures = 0 })");
  }
  if (options.patient)
    replaced.insert(replaced.end(), std::begin(kImpatient), std::end(kImpatient));

  std::vector<std::string> lines = Lines(author.text);
  for (const std::string& key : replaced) {
    const config::Position at =
        Find(table, key) == nullptr ? config::Position() : Find(table, key)->at;
    if (!Cut(&lines, &table, key)) {
      file.problems.push_back({author.path, at.line, at.column,
                               fmt::format("cannot replace \"{}\": write it in one piece", key)});
    }
  }
  if (!file.problems.empty()) return file;
  // A rebuild is not to wait for half a minute because somebody holds a stream open.
  if (Find(table, "stop") == nullptr && !options.patient) back = "\n[stop]\ndrain = \"2s\"\n";
  file.added_lines = static_cast<uint32_t>(front.size());
  file.text = Joined(front) + '\n' + Joined(lines) + '\n' + back;
  return file;
}

std::string InAuthorsWords(const std::string& text, const std::string& private_path,
                           const AuthorFile& author, const PrivateFile& file) {
  if (!text.starts_with(private_path) || author.path.empty()) return text;
  std::string_view rest = std::string_view(text).substr(private_path.size());
  if (!rest.starts_with(':')) return author.path + std::string(rest);
  uint32_t line = 0;
  const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), line);
  if (error != std::errc()) return author.path + std::string(rest);
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (line <= file.added_lines) return author.path + std::string(rest);
  return fmt::format("{}:{}{}", author.path, line - file.added_lines, rest);
}

std::vector<std::string> CommandOf(const AuthorFile& author) {
  std::vector<std::string> command;
  const auto document = config::ParseDocument(author.text);
  const auto* table = std::get_if<Table>(&document);
  const Entry* entry = table == nullptr ? nullptr : Find(*table, "command");
  const auto* words = entry == nullptr ? nullptr : entry->value.As<config::Array>();
  if (words == nullptr) return command;
  for (const config::Value& word : *words) {
    if (const auto* text = word.As<std::string>()) command.push_back(*text);
  }
  if (!command.empty()) {
    const auto folder = std::filesystem::path(author.path).parent_path();
    command.front() = (folder / command.front()).lexically_normal().string();
  }
  return command;
}

bool WantsAutoMtls(const AuthorFile& author) {
  const auto document = config::ParseDocument(author.text);
  const auto* table = std::get_if<Table>(&document);
  const Entry* entry = table == nullptr ? nullptr : Find(*table, "auto_mtls");
  const bool* wanted = entry == nullptr ? nullptr : entry->value.As<bool>();
  return wanted != nullptr && *wanted;
}

std::string PluginNameFor(const AuthorFile& author, const std::string& program) {
  const auto document = config::ParseDocument(author.text);
  if (const auto* table = std::get_if<Table>(&document)) {
    const Entry* name = Find(*table, "name");
    const auto* text = name == nullptr ? nullptr : name->value.As<std::string>();
    if (text != nullptr && config::CheckName(*text).empty()) return *text;
  }
  const std::filesystem::path path = author.path.empty() ? program : author.path;
  std::string fitted;
  for (const char c : path.stem().string()) {
    const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    fitted += config::CheckName(std::string(1, lower)).empty() || lower == '_' ? lower : '-';
  }
  constexpr size_t kLongest = 48;
  fitted.resize(std::min(fitted.size(), kLongest));
  const auto at_edge = [](char c) { return c == '-' || c == '_'; };
  while (!fitted.empty() && at_edge(fitted.front())) fitted.erase(0, 1);
  while (!fitted.empty() && at_edge(fitted.back())) fitted.pop_back();
  return fitted.empty() ? "plugin" : fitted;
}

}  // namespace plugind::pluginctl
