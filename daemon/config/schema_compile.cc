#include "daemon/config/schema_compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "daemon/config/schema_circle.h"
#include "daemon/config/schema_vocabulary.h"
#include "daemon/config/value.h"

namespace plugind::config {
namespace schema {

void Compiler::Run() {
  if (!out_.document.is_object()) throw Refused{kNone, "must be an object"};
  NodeAt(&out_.document, kNone, "");
  for (bool more = true; more;) {
    while (compiled_ < out_.nodes.size()) {
      ReadSubschema(static_cast<NodeId>(compiled_), this);
      ++compiled_;
    }
    more = !unresolved_.empty();
    for (const auto& [from, ref] : std::exchange(unresolved_, {})) {
      std::string why;
      const Json* json = references_.Target(ref, &why);
      if (json == nullptr) throw Refused{from, std::move(why)};
      const NodeId target = NodeAt(json, kNone, ref);
      At(from).ref = target;
    }
  }
  if (auto circle = FindCircle(out_.nodes)) throw Refused{circle->at, std::move(circle->why)};
}

NodeId Compiler::NodeAt(const Json* json, NodeId parent, std::string_view keyword,
                        std::string key) {
  constexpr size_t kMaxNodes = 16 * 1024;  // some 10 MiB
  const auto [found, added] = ids_.emplace(json, static_cast<NodeId>(out_.nodes.size()));
  if (added) {
    if (out_.nodes.size() >= kMaxNodes) {
      throw Refused{parent, fmt::format("there are more than {} schemas in it", kMaxNodes)};
    }
    sources_.push_back(json);
    auto& node = out_.nodes.emplace_back();
    node.parent = parent;
    node.keyword = keyword;
    node.key = std::move(key);
  }
  return found->second;
}

uint32_t Compiler::AddPattern(NodeId id, std::string_view text, std::string_view keyword) {
  constexpr size_t kMaxPatternSize = 32 * 1024;  // in instructions, over all patterns
  const auto refuse = [&](std::string_view why) {
    throw Refused{id, fmt::format("\"{}\" {}: {}", keyword, Shown(text), why)};
  };
  std::string error;
  auto pattern = Pattern::Compile(text, &error);
  if (!pattern) refuse(error);
  pattern_size_ += pattern->size();
  if (pattern_size_ > kMaxPatternSize) refuse("all patterns together are too large");
  out_.patterns.push_back(*std::move(pattern));
  return static_cast<uint32_t>(out_.patterns.size() - 1);
}

}  // namespace schema

std::optional<Schema> Schema::Compile(std::string_view json_schema, std::string* error) {
  if (json_schema.size() > kMaxSchemaBytes) {
    *error =
        fmt::format("has {} bytes, at most {} are allowed", json_schema.size(), kMaxSchemaBytes);
    return std::nullopt;
  }
  if (schema::Nesting(json_schema) > schema::kMaxSchemaNesting) {
    *error = fmt::format("is nested deeper than {} levels", schema::kMaxSchemaNesting);
    return std::nullopt;
  }
  auto compiled = std::make_shared<Compiled>();
  try {
    compiled->document = nlohmann::json::parse(json_schema);
    schema::Compiler(compiled.get()).Run();
  } catch (const nlohmann::json::parse_error& broken) {
    const auto before = json_schema.substr(0, broken.byte > 0 ? broken.byte - 1 : 0);
    const auto line_start = before.rfind('\n') + 1;  // 0 when there is none
    *error = fmt::format("is not JSON: line {}, column {}",
                         std::count(before.begin(), before.end(), '\n') + 1,
                         before.size() - line_start + 1);
    return std::nullopt;
  } catch (const nlohmann::json::exception&) {
    *error = "is not JSON: a number is too large";
    return std::nullopt;
  } catch (const schema::Refused& refused) {
    *error = refused.at == schema::kNone
                 ? refused.why
                 : fmt::format("at {}: {}", compiled->Where(refused.at), refused.why);
    return std::nullopt;
  }
  return Schema(std::move(compiled));
}

}  // namespace plugind::config
