// Text that came from a plugin or the daemon, made fit for a terminal. Whatever a plugin printed
// can neither move the cursor nor begin a line of its own.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace plugind::pluginctl {

// Control characters (newlines among them), invisible format characters and invalid UTF-8 become
// \xNN or \u{NNNN}; a tab becomes a space.
std::string Printable(std::string_view text);

// Columns on a terminal: East Asian wide characters and emoji take 2, combining marks none.
size_t Width(std::string_view text);

// At most `columns` wide, with "…" for what was cut.
std::string Truncate(std::string_view text, size_t columns);

// The last `count` lines, each Printable.
std::vector<std::string> LastLines(std::string_view text, size_t count);

// key=value as logfmt has it: quoted when it holds spaces, quotes or "=", or is empty.
std::string KeyValue(std::string_view key, std::string_view value);

// In the local time zone, "2026-11-20 09:11:34.123"; "-" when absent (0).
std::string FormatTime(const google::protobuf::Timestamp& time);
// To the second and with the zone: "2026-11-20 09:11:34 CET".
std::string FormatTimeLong(const google::protobuf::Timestamp& time);

// How long ago, by the wall clock; negative when it is yet to come.
std::chrono::nanoseconds Since(const google::protobuf::Timestamp& time);

// Two units at most: "4s", "3m12s", "2h05m", "4d03h". Negative is shown as "0s".
std::string FormatAge(std::chrono::nanoseconds age);

}  // namespace plugind::pluginctl
