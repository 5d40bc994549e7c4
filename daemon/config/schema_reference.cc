#include "daemon/config/schema_reference.h"

#include <fmt/format.h>

#include "daemon/config/schema_pointer.h"
#include "daemon/config/value.h"

namespace plugind::config::schema {

const nlohmann::json* References::Target(std::string_view ref, std::string* why) const {
  std::string_view text = ref;
  if (!base_.empty() && text.starts_with(base_)) text.remove_prefix(base_.size());
  if (!text.empty() && text[0] != '#') {
    *why = fmt::format(
        "\"$ref\" {} leads out of the schema; only references that begin with \"#\" are followed",
        Shown(ref));
    return nullptr;
  }
  if (const auto anchor = anchors_.find(text); anchor != anchors_.end()) return anchor->second;
  if (!text.empty()) text.remove_prefix(1);
  const bool is_pointer = text.empty() || text[0] == '/';
  const auto* target = is_pointer ? Follow(document_, text) : nullptr;
  if (target == nullptr) *why = fmt::format("\"$ref\" {} leads nowhere", Shown(ref));
  return target;
}

}  // namespace plugind::config::schema
