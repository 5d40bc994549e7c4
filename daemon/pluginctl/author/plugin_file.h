// The file by which a private daemon knows the plugin that `plugin run` was given: the author's own
// configuration with the program of the command line in it. Lines keep their order, so that a place
// in the private file can be told as a place in the author's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/problem.h"

namespace plugind::pluginctl {

struct AuthorFile {
  std::string path;  // empty: there is none
  std::string text;
};

struct PluginFileOptions {
  std::vector<std::string> command;  // the program's path is absolute
  // For a debugger: nothing is ended because it takes long.
  bool patient = false;
};

struct PrivateFile {
  std::string text;
  uint32_t added_lines = 0;               // in front of the author's
  std::vector<config::Problem> problems;  // with places in the author's file; then `text` is empty
};

PrivateFile ComposePluginFile(const AuthorFile& author, const PluginFileOptions& options);

// "PRIVATE:7:3" or "PRIVATE:7:3: message" as "AUTHOR:4:3…"; any other text as it is.
std::string InAuthorsWords(const std::string& text, const std::string& private_path,
                           const AuthorFile& author, const PrivateFile& file);

// The file's own command, its program's path absolute; empty where it has none.
std::vector<std::string> CommandOf(const AuthorFile& author);

// Whether the file sets auto_mtls, which a patient private file leaves to the relay.
bool WantsAutoMtls(const AuthorFile& author);

// What the private daemon calls the plugin: the file's `name`, else its stem, else the program's,
// fitted to what a plugin's name may be.
std::string PluginNameFor(const AuthorFile& author, const std::string& program);

}  // namespace plugind::pluginctl
