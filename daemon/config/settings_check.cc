#include "daemon/config/settings_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/config/schema.h"
#include "daemon/config/schema_store.h"

namespace plugind::config {
namespace {

// Where the setting stands, or the innermost table around it that is there.
Position Locate(const PluginFile& file, const Misfit& misfit) {
  Position at = file.settings_at;
  const Table* table = &file.settings_table;
  const Array* array = nullptr;
  for (size_t i = 0; i < misfit.path.size(); ++i) {
    const auto& step = misfit.path[i];
    const Value* value = nullptr;
    if (step.is_index && array != nullptr && step.index < array->size()) {
      value = &(*array)[step.index];
    } else if (!step.is_index && table != nullptr) {
      const auto entry =
          std::lower_bound(table->begin(), table->end(), step.key,
                           [](const Entry& a, const std::string& key) { return a.key < key; });
      if (entry == table->end() || entry->key != step.key) return at;
      if (misfit.of_key && i + 1 == misfit.path.size()) return entry->at;
      value = &entry->value;
    }
    if (value == nullptr) return at;
    // A table made by a dotted key has no place of its own.
    if (value->at.line > 0) at = value->at;
    table = value->As<Table>();
    array = value->As<Array>();
  }
  return at;
}

void CheckAgainst(const PluginFile& file, const Schema& schema, const std::string& source,
                  std::vector<Problem>* problems) {
  for (const auto& misfit : schema.Check(file.config.settings)) {
    const Position at = Locate(file, misfit);
    const auto field = misfit.field.empty()     ? "config"
                       : misfit.field[0] == '[' ? "config" + misfit.field
                                                : "config." + misfit.field;
    problems->push_back({file.config.file, at.line, at.column,
                         fmt::format("{}: {} (schema: {})", field, misfit.reason, source)});
  }
}

}  // namespace

void CheckSettings(const PluginFile& file, const SchemaSources& schemas,
                   std::vector<Problem>* problems, std::vector<Problem>* notes) {
  const auto& config = file.config;
  std::string text;
  std::string error;
  if (!config.config_schema.empty()) {
    if (!schemas.named) return;
    std::optional<Schema> schema;
    if (ReadSchemaFile(config.config_schema, &text, &error)) schema = Schema::Compile(text, &error);
    if (schema) return CheckAgainst(file, *schema, config.config_schema, problems);
    const auto [line, column] = file.config_schema_at;
    problems->push_back(
        {config.file, line, column,
         fmt::format("\"config_schema\": {}{}",
                     error.starts_with("cannot") ? "" : config.config_schema + " ", error)});
    return;
  }
  if (schemas.state_dir.empty()) return;
  auto stored = LoadSchema(schemas.state_dir, config);
  if (!stored) return;
  if (stored->outdated.empty()) {
    const auto schema = Schema::Compile(stored->text, &error);
    if (schema) return CheckAgainst(file, *schema, stored->file, problems);
    stored->outdated = error;
  }
  const auto [line, column] = file.settings_at;
  notes->push_back({config.file, line, column,
                    fmt::format("[config] is not checked before the plugin runs: the schema in {} "
                                "does not hold: {}",
                                stored->file, stored->outdated)});
}

}  // namespace plugind::config
