// The schemas that plugins published when they last negotiated, one file each,
// STATE/schemas/NAME.json: so that settings can be refused before the plugin is touched, or while
// it does not run at all.
//
// A schema holds for the files that published it. When one of the command's files is another than
// then (replaced, edited, another command), what is stored is not used: the new program's schema is
// not known before it has run, and the old one must not keep the new one's settings out.
//
// Files; no state of its own. On plugind's loop, and in `plugind --check-config`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/config/plugin_config.h"
#include "daemon/config/schema.h"

namespace plugind::config {

// `text`, as NegotiateResponse.config_schema has it, is what `plugin` publishes now; empty:
// nothing, and what was stored is removed. Does not write what is there already. False and *error,
// which names the file, when it cannot.
bool SaveSchema(const std::string& state_dir, const PluginConfig& plugin, std::string_view text,
                std::string* error);

struct StoredSchema {
  std::string file;
  std::string text;
  std::string outdated;  // why it does not hold for `plugin`; empty: it does
};

// Nothing when there is none. A file that cannot be read or is damaged is outdated.
std::optional<StoredSchema> LoadSchema(const std::string& state_dir, const PluginConfig& plugin);

// The schema that `plugin`'s settings are held to once it has published `published` (empty: none):
// that of the file which config_schema names, else the published one, else none. `error` is set
// when there is one that cannot be used; it names where it is from.
std::optional<Schema> SchemaInForce(const PluginConfig& plugin, std::string_view published,
                                    std::string* error);

// The text of config_schema's file. False and *error when it cannot be read or is too large.
bool ReadSchemaFile(const std::string& path, std::string* text, std::string* error);

}  // namespace plugind::config
