#include "daemon/config/document.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

namespace plugind::config {
namespace {

// toml++ counts columns in code points; editors and compilers count bytes.
class Columns {
 public:
  explicit Columns(std::string_view text) {
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::all_of(text.begin(), text.end(), is_ascii)) return;
    line_starts_.push_back(0);
    for (size_t i = 0; i < text.size(); ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;
      offsets_.push_back(static_cast<uint32_t>(i));
      if (text[i] == '\n') line_starts_.push_back(static_cast<uint32_t>(offsets_.size()));
    }
    offsets_.push_back(static_cast<uint32_t>(text.size()));
  }

  Position InBytes(const toml::source_position& at) const {
    const Position unchanged{at.line, at.column};
    if (at.line == 0 || at.column == 0 || at.line > line_starts_.size()) return unchanged;
    const size_t start = line_starts_[at.line - 1];
    const size_t point = start + at.column - 1;
    if (point >= offsets_.size()) return unchanged;
    return {at.line, offsets_[point] - offsets_[start] + 1};
  }

 private:
  std::vector<uint32_t>
      offsets_;  // byte offset of each code point, and of the end; empty: all is ASCII
  std::vector<uint32_t> line_starts_;  // index into offsets_ of each line's first code point
};

// RFC 3339 with as many decimals as are needed.
std::string Rfc3339(const toml::date& date) {
  return fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day);
}
std::string Rfc3339(const toml::time& time) {
  auto text = fmt::format("{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
  if (time.nanosecond == 0) return text;
  text += fmt::format(".{:09}", time.nanosecond);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}
std::string Rfc3339(const toml::date_time& moment) {
  auto text = fmt::format("{}T{}", Rfc3339(moment.date), Rfc3339(moment.time));
  if (!moment.offset) return text;
  const int minutes = moment.offset->minutes;
  if (minutes == 0) return text + "Z";
  const int distance = std::abs(minutes);
  return text + fmt::format("{}{:02}:{:02}", minutes < 0 ? '-' : '+', distance / 60, distance % 60);
}

// As deep as Screen allows, no deeper.
Value Convert(const toml::node& node, const Columns& columns) {  // NOLINT(misc-no-recursion)
  Value value{columns.InBytes(node.source().begin), {}};
  switch (node.type()) {
    case toml::node_type::table: {
      Table table;
      for (const auto& [key, child] : *node.as_table()) {
        table.push_back(
            {std::string(key.str()), columns.InBytes(key.source().begin), Convert(child, columns)});
      }
      value.data = std::move(table);
      break;
    }
    case toml::node_type::array: {
      Array array;
      for (const auto& child : *node.as_array()) array.push_back(Convert(child, columns));
      value.data = std::move(array);
      break;
    }
    case toml::node_type::string:
      value.data = node.as_string()->get();
      break;
    case toml::node_type::integer:
      value.data = node.as_integer()->get();
      break;
    case toml::node_type::floating_point:
      value.data = node.as_floating_point()->get();
      break;
    case toml::node_type::boolean:
      value.data = node.as_boolean()->get();
      break;
    case toml::node_type::date:
      value.data = DateTime{Rfc3339(node.as_date()->get())};
      break;
    case toml::node_type::time:
      value.data = DateTime{Rfc3339(node.as_time()->get())};
      break;
    case toml::node_type::date_time:
      value.data = DateTime{Rfc3339(node.as_date_time()->get())};
      break;
    case toml::node_type::none:
      break;
  }
  return value;
}

// toml++'s words in ours. It quotes keys of the file as they are, so nothing unprintable may pass.
std::string SyntaxMessage(std::string_view description) {
  constexpr std::string_view kPrefix = "Error while parsing ";
  std::string scope;
  if (description.starts_with(kPrefix)) {
    description.remove_prefix(kPrefix.size());
    const size_t colon = description.find(": ");
    if (colon != std::string_view::npos) {
      if (description.substr(0, colon) != "root table") {
        scope = fmt::format(" ({})", description.substr(0, colon));
      }
      description.remove_prefix(colon + 2);
    }
  }
  auto message = fmt::format("invalid TOML{}: {}", scope, description);
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return message;
}

}  // namespace

std::variant<Table, Objection> ParseDocument(std::string_view text) {
  if (auto objection = Screen(text)) return *std::move(objection);
  const Columns columns(text);
  try {
    const toml::table root = toml::parse(text);
    return std::get<Table>(Convert(root, columns).data);
  } catch (const toml::parse_error& error) {
    return Objection{columns.InBytes(error.source().begin), SyntaxMessage(error.description())};
  }
}

}  // namespace plugind::config
