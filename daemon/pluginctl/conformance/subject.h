// The plugin under test and how it is to be treated: the command line of `pluginctl plugin test`.
#pragma once

#include <google/protobuf/struct.pb.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace plugind::pluginctl::conformance {

using Milliseconds = std::chrono::milliseconds;

struct Subject {
  std::vector<std::string> command;  // the program, as a path, and its arguments
  std::string cookie_key = "PLUGIND_PLUGIN";
  std::string cookie_value = "1";
  std::vector<uint32_t> protocol_versions = {1};
  bool allow_tcp = false;
  // What it must take (empty: an empty table), and what it must refuse (none: guessed from its
  // schema).
  google::protobuf::Struct accepted;
  bool accepted_given = false;
  std::optional<google::protobuf::Struct> refused;
  Milliseconds timeout = std::chrono::seconds(10);  // for a start, and for an end
};

}  // namespace plugind::pluginctl::conformance
