#include "daemon/observe/exposition.h"

#include <charconv>
#include <cmath>

#include "daemon/observe/text.h"

namespace plugind::observe {
namespace {

// The shortest form that reads back as the same number.
template <typename Number>
void AppendNumber(std::string& out, Number value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end.ptr);
}

void AppendValue(std::string& out, double value) {
  if (std::isnan(value)) {
    out.append("NaN");
  } else if (std::isinf(value)) {
    out.append(value > 0 ? "+Inf" : "-Inf");
  } else {
    AppendNumber(out, value);
  }
}

void AppendEscaped(std::string& out, std::string_view text, bool quoted) {
  for (const char c : text) {
    if (c == '\\') {
      out.append("\\\\");
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '"' && quoted) {
      out.append("\\\"");
    } else {
      out.push_back(c);
    }
  }
}

// As nearly all labels are: nothing in it is to be escaped or replaced.
bool IsPlain(std::string_view text) {
  for (const char c : text) {
    if (c < ' ' || c > '~' || c == '"' || c == '\\') return false;
  }
  return true;
}

}  // namespace

void Exposition::Family(std::string_view name, Type type, std::string_view help) {
  family_ = name;
  text_.append("# HELP ").append(name).append(" ");
  AppendEscaped(text_, help, false);
  text_.append("\n# TYPE ").append(name);
  switch (type) {
    case Type::kCounter:
      text_.append(" counter\n");
      break;
    case Type::kGauge:
      text_.append(" gauge\n");
      break;
    case Type::kHistogram:
      text_.append(" histogram\n");
      break;
  }
}

void Exposition::Name(std::string_view suffix, Labels labels, std::string_view le) {
  text_.append(family_).append(suffix);
  char before = '{';
  const auto add = [&](std::string_view name, std::string_view value) {
    text_.push_back(before);
    text_.append(name).append("=\"");
    if (IsPlain(value)) {
      text_.append(value);
    } else {
      AppendEscaped(text_, ValidUtf8(value), true);
    }
    text_.push_back('"');
    before = ',';
  };
  for (const auto& [name, value] : labels) add(name, value);
  if (!le.empty()) add("le", le);
  text_.append(before == ',' ? "} " : " ");
}

void Exposition::Sample(Labels labels, uint64_t value) {
  Name("", labels, "");
  AppendNumber(text_, value);
  text_.push_back('\n');
}

void Exposition::Sample(Labels labels, double value) {
  Name("", labels, "");
  AppendValue(text_, value);
  text_.push_back('\n');
}

void Exposition::Histogram(Labels labels, std::span<const double> bounds,
                           std::span<const uint64_t> counts, double sum) {
  uint64_t so_far = 0;
  std::string bound;
  for (size_t i = 0; i < counts.size(); ++i) {
    so_far += counts[i];
    bound.clear();
    AppendValue(bound, i < bounds.size() ? bounds[i] : HUGE_VAL);
    Name("_bucket", labels, bound);
    AppendNumber(text_, so_far);
    text_.push_back('\n');
  }
  Name("_sum", labels, "");
  AppendValue(text_, sum);
  text_.push_back('\n');
  Name("_count", labels, "");
  AppendNumber(text_, so_far);
  text_.push_back('\n');
}

}  // namespace plugind::observe
