// The configuration files as bytes, apart from what they mean: read once, then loaded, and kept for
// a successor of plugind, which must go on with what was in force and not with a half-finished
// edit.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/unique_fd.h"
#include "daemon/config/problem.h"

namespace plugind::config {

struct SourceFile {
  std::string path;  // absolute
  std::string text;
  std::string trouble;  // why it could not be read; empty: it was
};

struct Sources {
  SourceFile daemon;                // its text is empty when it is absent and may be
  std::vector<SourceFile> plugins;  // in order of path
  std::vector<Problem> problems;    // with the folder of plugins.d itself

  // Replaces the plugin file at `path` by what `other` has of it, which may be nothing.
  void TakePlugin(const std::string& path, const Sources& other);
};

struct LoadOptions {
  bool file_required = true;  // a missing plugind.toml is an error: it is when the user named it
};

// `file` is plugind.toml (absolute or relative to the working directory); plugins.d lies beside it.
Sources ReadSources(const std::string& file, const LoadOptions& options);
// `path` made absolute by the working directory.
std::string Absolute(const std::string& path);

// In memory without a name, which the keeper can keep. Invalid when there is none to be had.
UniqueFd WriteSnapshot(const Sources& sources);
// False when it is not a snapshot of this layout.
bool ReadSnapshot(const UniqueFd& fd, Sources* sources);

}  // namespace plugind::config
