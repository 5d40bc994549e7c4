// A new plugin's project, made of a language's template: files with placeholders in their names and
// texts.
//
//   @name@    hello-world   the plugin
//   @snake@   hello_world   packages and generated files
//   @Name@    HelloWorld    the service
//   @prefix@  where plugind is installed, or its build tree
//   @sdk@     the folder of the SDKs below it
//
// A template's name ends in ".in", which the made file's does not: no tool takes it for a source.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

namespace plugind::pluginctl {

struct Scaffold {
  std::string language;  // "cpp", "go", "node" or "python"
  std::string name;
  std::string folder;  // made if it is not there; if it is, it must be empty
  std::string prefix;
};

// What is wrong with `name` as that of a project; empty when nothing is. Narrower than what
// plugins may be called: it becomes an identifier in every language.
std::string CheckProjectName(std::string_view name);

// Names of the placeholders replaced.
std::string Fill(std::string_view text, const Scaffold& scaffold);

// Where share/plugind/templates was found: the folder above pluginctl's own.
absl::StatusOr<std::string> FindPrefix();

// The files that were made, relative to the folder, sorted. What goes wrong leaves the folder as it
// was then.
absl::StatusOr<std::vector<std::string>> MakeProject(const Scaffold& scaffold);

}  // namespace plugind::pluginctl
