// JSON documents out of a stream of bytes: concatenated, with or without whitespace between them,
// each handed on as soon as its last byte is there. Only the structure is looked at; whether a
// document is JSON throughout is for whoever parses it. One thread.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace plugind::pluginctl {

struct JsonDocument {
  std::string text;
  size_t line = 0;  // where it begins, counted from 1
};

class JsonStream {
 public:
  // The next bytes; cut anywhere, in the midst of a character too.
  void Feed(std::string_view bytes);
  // There are no more: a number or a word at the very end is whole now.
  void End();

  // The next document; none until more bytes are fed.
  std::optional<JsonDocument> Next();

  // What is wrong after the documents that were whole, with its line; empty: nothing.
  const std::string& error() const { return error_; }

 private:
  enum class Place {
    kBetween,
    kNested,  // in an object or an array
    kString,
    kEscape,  // behind a string's backslash
    kWord,    // a number, true, false or null that is a document
  };

  void Take(char c);
  void TakeBetween(char c);
  void Begin(Place place);
  void Emit();

  Place place_ = Place::kBetween;
  size_t depth_ = 0;
  size_t line_ = 1;
  JsonDocument current_;
  std::deque<JsonDocument> whole_;
  std::string error_;
};

}  // namespace plugind::pluginctl
