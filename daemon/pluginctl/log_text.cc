#include "daemon/pluginctl/log_text.h"

#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {

using v1::LogEntry;

LevelLook LookOf(LogEntry::Level level) {
  switch (level) {
    case LogEntry::TRACE:
      return {"TRACE", Colour::kDim};
    case LogEntry::DEBUG:
      return {"DEBUG", Colour::kDim};
    case LogEntry::INFO:
      return {"INFO", Colour::kGreen};
    case LogEntry::WARN:
      return {"WARN", Colour::kYellow};
    case LogEntry::ERROR:
      return {"ERROR", Colour::kRed};
    case LogEntry::LEVEL_UNSPECIFIED:
    case v1::LogEntry_Level_LogEntry_Level_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::LogEntry_Level_LogEntry_Level_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return {"-"};
}

std::string_view SourceName(LogEntry::Source source) {
  switch (source) {
    case LogEntry::STDOUT:
      return "stdout";
    case LogEntry::STDERR:
      return "stderr";
    case LogEntry::PLUGIND:
      return "plugind";
    case LogEntry::SOURCE_UNSPECIFIED:
    case v1::LogEntry_Source_LogEntry_Source_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::LogEntry_Source_LogEntry_Source_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "-";
}

std::string KeysOf(const LogEntry& entry) {
  std::string keys;
  if (!entry.module().empty()) keys = KeyValue("module", entry.module());
  for (const LogEntry::Field& field : entry.fields()) {
    if (!keys.empty()) keys += ' ';
    keys += KeyValue(field.key(), field.value());
  }
  return keys;
}

}  // namespace plugind::pluginctl
