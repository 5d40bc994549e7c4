#include "daemon/pluginctl/call/target.h"

#include <fmt/format.h>

#include "daemon/config/syntax.h"
#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {
namespace {

constexpr size_t kLongestName = 1000;  // of a service and a method together

bool IsFullName(const std::string& text) {
  return config::CheckMethodPath(fmt::format("/{}/M", text)).empty();
}

}  // namespace

std::string ParseTarget(const std::string& text, CallTarget* target) {
  const size_t first = text.find('/');
  target->plugin = text.substr(0, first);
  if (std::string wrong = config::CheckName(target->plugin); !wrong.empty()) return wrong;
  if (first == std::string::npos) return "";

  const size_t second = text.find('/', first + 1);
  target->symbol = text.substr(first + 1, second - first - 1);
  if (second != std::string::npos) target->method = text.substr(second + 1);
  const bool has_method = second != std::string::npos;
  const bool right =
      has_method ? config::CheckMethodPath(target->path()).empty() : IsFullName(target->symbol);
  if (!right || text.size() > kLongestName)
    return fmt::format("\"{}\" is not PLUGIN, PLUGIN/SERVICE or PLUGIN/SERVICE/METHOD",
                       Printable(text.substr(0, kLongestName)));
  return "";
}

}  // namespace plugind::pluginctl
