#include "daemon/config/schema_pointer.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace plugind::config::schema {
namespace {

// One token of it, `a~1b%20c`, as far as it is escaped.
std::string Unescape(std::string_view token) {
  std::string text;
  for (size_t i = 0; i < token.size(); ++i) {
    const std::string_view hex = token.substr(i + 1, 2);
    if (token[i] == '%' && hex.size() == 2 && std::isxdigit(static_cast<unsigned char>(hex[0])) &&
        std::isxdigit(static_cast<unsigned char>(hex[1]))) {
      text += static_cast<char>(std::stoi(std::string(hex), nullptr, 16));
      i += 2;
    } else {
      text += token[i];
    }
  }
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '~' && i + 1 < text.size();
    if (escape && (text[i + 1] == '0' || text[i + 1] == '1')) {
      plain += text[++i] == '0' ? '~' : '/';
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

const nlohmann::json* Follow(const nlohmann::json& document, std::string_view pointer) {
  const nlohmann::json* target = &document;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const size_t end = std::min(pointer.find('/'), pointer.size());
    const auto token = Unescape(pointer.substr(0, end));
    pointer.remove_prefix(end);
    if (target->is_object() && target->contains(token)) {
      target = &(*target)[token];
    } else if (target->is_array() && !token.empty() && token.size() < 7 &&
               token.find_first_not_of("0123456789") == std::string::npos &&
               std::stoul(token) < target->size()) {
      target = &(*target)[std::stoul(token)];
    } else {
      return nullptr;
    }
  }
  return target;
}

}  // namespace plugind::config::schema
