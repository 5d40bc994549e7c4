#include "daemon/pluginctl/table.h"

#include <algorithm>

#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kShortestCut = 10;  // columns; a narrower rest is left to the terminal to wrap

}  // namespace

std::string Table::Render(const Terminal& terminal) const {
  std::vector<size_t> widths;
  for (const Column& column : columns_) widths.push_back(Width(column.title));
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i].text));
  }
  size_t before_last = 0;
  for (size_t i = 0; i + 1 < widths.size(); ++i) before_last += widths[i] + kGap;
  const bool cut = terminal.columns > before_last + kShortestCut;

  std::string out;
  const auto add = [&](const std::vector<Cell>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const bool last = i + 1 == row.size();
      const std::string text =
          last && cut ? Truncate(row[i].text, terminal.columns - before_last) : row[i].text;
      const std::string padding(widths[i] - Width(text), ' ');
      if (columns_[i].right) line += padding;
      line += terminal.Paint(text.empty() ? Colour::kNone : row[i].colour, text);
      if (!columns_[i].right && !last) line += padding;
      if (!last) line.append(kGap, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };

  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.push_back({column.title, Colour::kBold});
  add(titles);
  for (const auto& row : rows_) add(row);
  return out;
}

}  // namespace plugind::pluginctl
