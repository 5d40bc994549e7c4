#include "daemon/pluginctl/author/scaffold.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "daemon/base/status.h"

namespace plugind::pluginctl {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestName = 40;
constexpr const char* kTemplates = "share/plugind/templates";

// Packages that are somebody else's, and words that cannot be a package's first in one of the
// languages.
constexpr std::array<std::string_view, 40> kReserved = {
    "auto",      "bool",     "break",  "case",   "catch",     "char",   "class",   "const",
    "default",   "delete",   "do",     "double", "else",      "enum",   "export",  "float",
    "for",       "func",     "google", "goto",   "grpc",      "if",     "import",  "int",
    "interface", "internal", "main",   "map",    "namespace", "new",    "package", "plugin",
    "plugind",   "public",   "range",  "return", "std",       "switch", "this",    "void"};

std::string Snake(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

std::string Pascal(std::string_view name) {
  std::string words;
  bool begins = true;
  for (const char c : name) {
    if (c != '-')
      words += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    begins = c == '-';
  }
  return words;
}

absl::Status CopyFilled(const fs::path& from, const fs::path& to, const Scaffold& scaffold) {
  std::ifstream source(from, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(source)), {});
  if (!source) return Error(absl::StatusCode::kNotFound, "cannot read {}", from.string());
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (error) return ErrnoError(error.value(), "cannot make " + to.parent_path().string());
  std::ofstream file(to, std::ios::binary);
  file << Fill(text, scaffold);
  file.close();
  if (!file) return ErrnoError(errno, "cannot write " + to.string());
  constexpr auto kExecutable =
      fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;
  if ((fs::status(from).permissions() & fs::perms::owner_exec) != fs::perms::none)
    fs::permissions(to, kExecutable, fs::perm_options::add, error);
  return error ? ErrnoError(error.value(), "cannot make executable " + to.string())
               : absl::OkStatus();
}

absl::Status CheckFolder(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return absl::OkStatus();
  if (!fs::is_directory(folder, error))
    return Error(absl::StatusCode::kAlreadyExists, "{} is there and is no folder", folder);
  if (fs::is_empty(folder, error)) return absl::OkStatus();
  return Error(absl::StatusCode::kAlreadyExists,
               "{} is there and not empty; --dir names another folder", folder);
}

}  // namespace

std::string CheckProjectName(std::string_view name) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool good =
      !name.empty() && name.size() <= kLongestName && lower(name.front()) && name.back() != '-' &&
      name.find("--") == std::string_view::npos &&
      std::ranges::all_of(name, [&](char c) { return lower(c) || digit(c) || c == '-'; });
  if (!good) {
    return fmt::format(
        "\"{}\" is no name for a plugin's project: 1 to {} of a-z, 0-9 and \"-\", beginning with a "
        "letter, such as word-count",
        name, kLongestName);
  }
  if (std::ranges::find(kReserved, name) != kReserved.end())
    return fmt::format("\"{}\" is a word of a language or another's package; take another", name);
  return "";
}

std::string Fill(std::string_view text, const Scaffold& scaffold) {
  const std::array<std::pair<std::string_view, std::string>, 5> values = {{
      {"@name@", scaffold.name},
      {"@snake@", Snake(scaffold.name)},
      {"@Name@", Pascal(scaffold.name)},
      {"@prefix@", scaffold.prefix},
      {"@sdk@", scaffold.prefix + "/share/plugind/sdk"},
  }};
  std::string filled;
  for (size_t at = 0; at < text.size();) {
    const auto found = std::ranges::find_if(
        values, [&](const auto& each) { return text.substr(at).starts_with(each.first); });
    if (found == values.end()) {
      filled += text[at++];
    } else {
      filled += found->second;
      at += found->first.size();
    }
  }
  return filled;
}

absl::StatusOr<std::string> FindPrefix() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return ErrnoError(error.value(), "cannot read /proc/self/exe");
  const fs::path prefix = self.parent_path().parent_path();
  if (fs::is_directory(prefix / kTemplates, error)) return prefix.string();
  return Error(absl::StatusCode::kNotFound,
               "there are no templates at {}: the component \"sdk\" is not installed",
               (prefix / kTemplates).string());
}

absl::StatusOr<std::vector<std::string>> MakeProject(const Scaffold& scaffold) {
  RETURN_IF_ERROR(CheckFolder(scaffold.folder));
  const fs::path root = fs::path(scaffold.prefix) / kTemplates / scaffold.language;
  std::error_code error;
  std::vector<fs::path> templates;
  for (fs::recursive_directory_iterator each(root, error), end; !error && each != end;
       each.increment(error)) {
    if (each->is_regular_file()) templates.push_back(each->path());
  }
  if (error) return ErrnoError(error.value(), "cannot read " + root.string());
  std::vector<std::string> made;
  for (const fs::path& from : templates) {
    std::string name = Fill(from.lexically_relative(root).string(), scaffold);
    constexpr std::string_view kSuffix = ".in";
    if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
    RETURN_IF_ERROR(CopyFilled(from, fs::path(scaffold.folder) / name, scaffold));
    made.push_back(std::move(name));
  }
  std::ranges::sort(made);
  return made;
}

}  // namespace plugind::pluginctl
