// What "pluginctl call" is about: PLUGIN, PLUGIN/SYMBOL or PLUGIN/SERVICE/METHOD.
#pragma once

#include <string>

namespace plugind::pluginctl {

struct CallTarget {
  std::string plugin;
  std::string
      symbol;  // a service where there is a method, else anything with a full name; or empty
  std::string method;  // or empty

  std::string path() const { return '/' + symbol + '/' + method; }
};

// Returns what is wrong with `text`, or an empty string.
std::string ParseTarget(const std::string& text, CallTarget* target);

}  // namespace plugind::pluginctl
