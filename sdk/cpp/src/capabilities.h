// Capabilities are what the plugin's author says that it can do and what it must find; see
// Capability in plugin.proto. Collected by the setters of plugind::Plugin and then only read.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plugind::sdk {

struct Capability {
  std::string name;
  std::vector<std::string> versions;  // the highest minor of each major, ascending
  bool required = false;
};

// "MAJOR.MINOR" as two numbers; nothing if it is not one.
std::optional<std::pair<int, int>> ParseVersion(std::string_view text);

class Capabilities {
 public:
  // Of two versions with one major the higher minor counts. Throws Failure, naming the capability,
  // if the name or the version ("MAJOR.MINOR") is none.
  void Add(const std::string& name, const std::string& version, bool required);

  // In order of name.
  std::vector<Capability> All() const;

 private:
  struct Entry {
    std::map<int, int> minors;  // by major
    bool required = false;
  };
  std::map<std::string, Entry> entries_;
};

}  // namespace plugind::sdk
