// A table whose columns are as wide as what is in them. Plain data; rendered in one go.
#pragma once

#include <string>
#include <vector>

#include "daemon/pluginctl/terminal.h"

namespace plugind::pluginctl {

struct Cell {
  std::string text;
  Colour colour = Colour::kNone;
};

struct Column {
  std::string title;
  bool right = false;  // aligned to the right
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns.
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }

  // Two spaces between columns, none at a line's end. The last column alone is cut where the
  // terminal ends.
  std::string Render(const Terminal& terminal) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace plugind::pluginctl
