#include "daemon/pluginctl/call/json_stream.h"

#include <fmt/format.h>

#include <cctype>
#include <utility>

#include "daemon/pluginctl/text.h"

namespace plugind::pluginctl {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool IsOfWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '+' || c == '.';
}

}  // namespace

void JsonStream::Feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (!error_.empty()) return;
    Take(c);
    if (c == '\n') ++line_;
  }
}

void JsonStream::End() {
  if (!error_.empty() || place_ == Place::kBetween) return;
  if (place_ == Place::kWord) {
    Emit();
  } else {
    error_ = fmt::format("line {}: the document that begins here has no end", current_.line);
  }
}

std::optional<JsonDocument> JsonStream::Next() {
  if (whole_.empty()) return std::nullopt;
  JsonDocument next = std::move(whole_.front());
  whole_.pop_front();
  return next;
}

void JsonStream::Take(char c) {
  switch (place_) {
    case Place::kBetween:
      TakeBetween(c);
      return;
    case Place::kWord:
      if (IsOfWord(c)) break;
      Emit();
      TakeBetween(c);
      return;
    case Place::kNested:
      if (c == '"') place_ = Place::kString;
      if (c == '{' || c == '[') ++depth_;
      if (c == '}' || c == ']') --depth_;
      break;
    case Place::kString:
      if (c == '\\') place_ = Place::kEscape;
      if (c == '"') place_ = Place::kNested;
      break;
    case Place::kEscape:
      place_ = Place::kString;
      break;
  }
  current_.text += c;
  if (place_ == Place::kNested && depth_ == 0) Emit();
}

void JsonStream::TakeBetween(char c) {
  if (IsSpace(c)) return;
  if (c == '{' || c == '[') {
    depth_ = 1;
    Begin(Place::kNested);
  } else if (c == '"') {
    Begin(Place::kString);
  } else if (IsOfWord(c)) {
    Begin(Place::kWord);
  } else {
    error_ = fmt::format("line {}: no JSON document begins with '{}'", line_, Printable({&c, 1}));
    return;
  }
  current_.text += c;
}

void JsonStream::Begin(Place place) {
  place_ = place;
  current_.line = line_;
}

void JsonStream::Emit() {
  whole_.push_back(std::exchange(current_, {}));
  depth_ = 0;
  place_ = Place::kBetween;
}

}  // namespace plugind::pluginctl
