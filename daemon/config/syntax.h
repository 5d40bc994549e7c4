// The small languages inside strings: names, principals, method paths, versions, listen addresses.
// Pure functions; each returns what is wrong with `text`, or an empty string when nothing is.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace plugind::config {

using Check = std::function<std::string(std::string_view text)>;

// A plugin's name: 1 to 48 of a-z 0-9 - _ . with a letter or digit at both ends. Lower case only:
// names become file names and host names, and two that differ in case alone would be told apart by
// some readers and not by others.
std::string CheckName(std::string_view text);

// Who may call a plugin: "uid:N", "group:NAME", "plugin:NAME", "*".
std::string CheckCaller(std::string_view text);
// Who may use the control socket: the same without plugins, which cannot reach it.
std::string CheckOperator(std::string_view text);

// A method as gRPC's :path has it: "/pkg.Service/Method".
std::string CheckMethodPath(std::string_view text);
// A peer's method: "PLUGIN/*" or "PLUGIN/pkg.Service/Method".
std::string CheckCall(std::string_view text);

// A capability's name, 1 to 128 of A-Z a-z 0-9 - _ . and its version, "MAJOR.MINOR".
std::string CheckCapability(std::string_view text);
std::string CheckVersion(std::string_view text);

// The name of an environment variable that a configuration may set: not one that plugind sets
// itself.
std::string CheckEnvironmentName(std::string_view text);
// The same for the magic cookie, whose default is a name of plugind's own.
std::string CheckCookieName(std::string_view text);

// "HOST:PORT" where only this machine gets at (127.0.0.1, [::1], localhost), "unix:PATH" or "".
std::string CheckListen(std::string_view text);

// For strings that may be anything but empty.
std::string CheckNotEmpty(std::string_view text);
// For those that may be anything.
std::string CheckNothing(std::string_view text);

}  // namespace plugind::config
