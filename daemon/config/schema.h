// A JSON Schema (draft 7) of a plugin's settings, as the plugin publishes it when it negotiates or
// as an operator names it in `config_schema`. Immutable, cheap to copy, and safe on any thread.
//
// A schema is a stranger's program, so it is compiled to something of bounded cost: circles that
// look at nothing new, references to other documents and patterns beyond linear time are refused by
// name, and Check counts its steps. (valijson 1.0 of Debian 12 was tried: {"allOf":[{"$ref":"#"}]}
// and "^(a|b)*$" on a long text overflow its stack, "^(a+)+$" and nested alternatives never end.)
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace plugind::config {

inline constexpr size_t kMaxSchemaBytes = 256 * 1024;
inline constexpr size_t kMaxMisfits = 100;  // told of one table; the rest is not looked for

// One setting that does not fit.
struct Misfit {
  // A key, or an index when it is empty-handed of one.
  struct Step {
    std::string key;
    size_t index = 0;
    bool is_index = false;
  };

  std::vector<Step> path;  // from the top of [config]
  bool of_key = false;     // it is the key itself that is wrong, not what stands under it
  std::string field;       // `path` as people write it: "limits.max", "servers[2].port"; empty: all
  std::string reason;      // "must be an integer, not a string"

  // "limits.max: must be …"
  std::string ToString() const;
};

class Schema {
 public:
  // Null when the text is no schema or one that is refused; then *error says why and where in it,
  // in one printable line.
  static std::optional<Schema> Compile(std::string_view json_schema, std::string* error);

  // Everything in `settings`, a JSON object such as PluginConfig::settings, that does not fit.
  // Takes some 100 ms at the very most; settings that would take longer are a misfit as a whole.
  std::vector<Misfit> Check(std::string_view settings) const;

  // The compiled form: schema_node.h.
  struct Compiled;

 private:
  explicit Schema(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  // Shared by the copies; nothing changes it.
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace plugind::config
